/**
 * A log and a table of counters in files, behind the page cache: appended to, updated in place, read as lines, flushed.
 *
 *   node examples/files.mjs
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes, Quire } from 'quire';

const ACCOUNTS = 20_000;
const ACCOUNT_BYTES = 64;
const TRANSFERS = 50_000;

const folder = await mkdtemp(join(tmpdir(), 'quire-files-'));
const quire = await Quire.open({ budget: '32MiB' });

// Records of 64 bytes: a balance, and room for a name.
const accounts = await quire.openFile(join(folder, 'accounts'), 'w+');
const record = Buffer.alloc(ACCOUNT_BYTES);
for (let id = 0; id < ACCOUNTS; id++) {
  record.writeBigInt64LE(1000n, 0);
  record.write(`account ${id}`.padEnd(32), 8);
  accounts.writeSync(record);
}

// Every transfer reads and writes two records in place, and appends a line. No call waits for the disk.
const log = await quire.openFile(join(folder, 'log'), 'a+');
let seed = 1;
const random = (below) => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed % below;
};
const balance = Buffer.alloc(8);
const add = (id, amount) => {
  accounts.readSync(balance, 0, 8, id * ACCOUNT_BYTES);
  balance.writeBigInt64LE(balance.readBigInt64LE() + BigInt(amount));
  accounts.writeSync(balance, 0, 8, id * ACCOUNT_BYTES);
};
const started = performance.now();
for (let n = 0; n < TRANSFERS; n++) {
  const from = random(ACCOUNTS);
  const to = random(ACCOUNTS);
  const amount = random(100);
  add(from, -amount);
  add(to, amount);
  log.writeSync(`${from} ${to} ${amount}\n`);
}
const micros = ((performance.now() - started) * 1000) / TRANSFERS;
console.log(`${TRANSFERS} transfers, ${micros.toFixed(1)} µs each: two reads, two writes, one append`);

// On the device when these resolve.
await Promise.all([log.sync(), accounts.sync()]);

const stats = quire.stats();
console.log(
  `${formatBytes(stats.nr_file_pages * 4096)} of files cached, ${stats.nr_dirty} of their pages dirty after the sync`,
);

// The log, line by line, gives the same balances.
const expected = new Map();
let lines = 0;
for await (const line of log.readLines()) {
  const [from, to, amount] = line.split(' ').map(Number);
  expected.set(from, (expected.get(from) ?? 1000) - amount);
  expected.set(to, (expected.get(to) ?? 1000) + amount);
  lines++;
}
assert.equal(lines, TRANSFERS);
for (const [id, value] of expected) {
  accounts.readSync(balance, { position: id * ACCOUNT_BYTES });
  assert.equal(balance.readBigInt64LE(), BigInt(value));
}

// Zero-copy: the first page as it lies in the cache.
{
  const pin = accounts.pin(0, 4096);
  const view = new DataView(pin.bytes.buffer, pin.bytes.byteOffset, pin.bytes.byteLength);
  assert.equal(view.getBigInt64(0, true), BigInt(expected.get(0) ?? 1000));
  pin.release();
}

// For everybody else they are files like any other.
await quire.close();
assert.equal((await readFile(join(folder, 'log'), 'utf8')).trimEnd().split('\n').length, TRANSFERS);
await rm(folder, { recursive: true });
