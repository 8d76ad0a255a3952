import assert from 'node:assert/strict';
import { closeSync, fdatasync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { WrongAnswer } from '../benchmark.ts';
import { makeFileFolder } from '../file-folder.ts';
import { ACCOUNT_PAGE_BYTES, balanceAt, makeAccounts, ROWS_PER_PAGE, sumOfBalances } from './accounts.ts';
import { historyOf } from './history.ts';
import { GROUP_BYTES_MAX, HISTORY_BYTES, Pgbench, WAL_BLOCK_BYTES, type WorkFile } from './pgbench.ts';

const PAGES = 300;
const folder = makeFileFolder('tmpfs');
after(folder.remove);

/** A file of the host; counts its syncs and the longest write. */
class HostFile implements WorkFile {
  readonly path: string;
  readonly fd: number;
  syncs = 0;
  longest = 0;
  sync: () => Promise<void> = () => promisify(fdatasync)(this.fd);

  constructor(name: string, make: (path: string) => void) {
    this.path = join(folder.path, name);
    make(this.path);
    this.fd = openSync(this.path, 'r+');
  }

  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number {
    return readSync(this.fd, buffer, offset, length, position);
  }

  writeSync(buffer: Uint8Array, offset: number, length: number, position: number): number {
    this.longest = Math.max(this.longest, length);
    return writeSync(this.fd, buffer, offset, length, position);
  }

  datasync(): Promise<void> {
    this.syncs += 1;
    return this.sync();
  }

  close(): void {
    closeSync(this.fd);
  }
}

function filesOf(name: string) {
  const empty = (path: string) => writeFileSync(path, '');
  return {
    accounts: new HostFile(`${name}-accounts`, (path) => makeAccounts(path, PAGES)),
    wal: new HostFile(`${name}-wal`, empty),
    history: new HostFile(`${name}-history`, empty),
  };
}

const OPTIONS = { clients: 64, accountPages: PAGES, walBytes: 4 * GROUP_BYTES_MAX, checkpointMs: 20, seed: 7 };

describe('accounts', () => {
  it('have a number in each page and rows that do not overlap', () => {
    const path = join(folder.path, 'fresh');
    makeAccounts(path, PAGES);
    const words = new Int32Array(Uint8Array.from(readFileSync(path)).buffer);
    assert.equal(words.length * 4, PAGES * ACCOUNT_PAGE_BYTES);
    for (let page = 0; page < PAGES; page += 1) assert.equal(words[(page * ACCOUNT_PAGE_BYTES) / 4], page);
    assert.equal(sumOfBalances(path), 0);
    const places = Array.from({ length: ROWS_PER_PAGE }, (_, row) => balanceAt(row));
    assert.equal(new Set(places).size, ROWS_PER_PAGE);
    assert.ok(Math.min(...places) > 0 && Math.max(...places) < ACCOUNT_PAGE_BYTES / 4);
  });

  it('are summed up, and a page in the wrong place is seen', () => {
    const path = join(folder.path, 'changed');
    makeAccounts(path, PAGES);
    const bytes = readFileSync(path);
    bytes.writeInt32LE(-40, 299 * ACCOUNT_PAGE_BYTES + balanceAt(60) * 4);
    bytes.writeInt32LE(7, balanceAt(0) * 4);
    writeFileSync(path, bytes);
    assert.equal(sumOfBalances(path), -33);
    bytes.writeInt32LE(5, 4 * ACCOUNT_PAGE_BYTES);
    writeFileSync(path, bytes);
    assert.ok(Number.isNaN(sumOfBalances(path)));
  });
});

describe('Pgbench', () => {
  it('commits transactions whose deltas are all in the files', async () => {
    const files = filesOf('whole');
    let grouped = 0;
    const work = new Pgbench(files, {
      ...OPTIONS,
      onGroup(position, bytes) {
        assert.ok(position + bytes <= OPTIONS.walBytes && bytes <= GROUP_BYTES_MAX);
        assert.equal((position | bytes) % WAL_BLOCK_BYTES, 0);
        grouped += bytes;
      },
    });
    const tookMs = await work.run(150);
    assert.ok(tookMs >= 150);
    const { latenciesMs, deltaSum } = work;
    assert.ok(latenciesMs.length >= OPTIONS.clients, 'every client committed');
    assert.ok(latenciesMs.every((ms) => ms >= 0 && ms <= tookMs));
    assert.equal(sumOfBalances(files.accounts.path), deltaSum);
    const history = historyOf(files.history.path);
    assert.deepEqual(history, { bytes: latenciesMs.length * HISTORY_BYTES, deltaSum });
    assert.equal(grouped, work.walBytes);
    assert.ok(files.wal.longest <= GROUP_BYTES_MAX && files.wal.syncs > 0);
    assert.equal(files.accounts.syncs, work.checkpoints);
    assert.ok(work.checkpoints > 0);
    for (const file of Object.values(files)) file.close();
  });

  it('writes a page into the WAL once between checkpoints', async () => {
    const files = filesOf('images');
    const work = new Pgbench(files, { ...OPTIONS, checkpointMs: 1e9, walBytes: 64 * GROUP_BYTES_MAX });
    await work.run(100);
    const { images, groups, walBytes } = work;
    const recorded = images * ACCOUNT_PAGE_BYTES + work.latenciesMs.length * 256;
    assert.ok(images > 0 && images <= PAGES);
    assert.ok(walBytes >= recorded && walBytes < recorded + groups * WAL_BLOCK_BYTES);
    for (const file of Object.values(files)) file.close();
  });

  it('ends when a sync fails, or a page is not what was written', async () => {
    const files = filesOf('failing');
    const cause = new Error('EIO');
    files.wal.sync = () => Promise.reject(cause);
    await assert.rejects(new Pgbench(files, OPTIONS).run(1000), cause);
    const page = Buffer.alloc(ACCOUNT_PAGE_BYTES, 0xff);
    const { accounts } = files;
    for (let index = 0; index < PAGES; index += 1) accounts.writeSync(page, 0, page.length, index * page.length);
    await assert.rejects(new Pgbench(files, OPTIONS).run(1000), WrongAnswer);
    for (const file of Object.values(files)) file.close();
  });
});
