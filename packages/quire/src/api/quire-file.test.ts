/** What a QuireFile does beside the results of its calls: syncing, counting, pins, lines, reading ahead. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { NodeFileIo } from '../daemons/node-file-io.ts';
import type { Memory } from '../vm/memory.ts';
import { Quire } from './quire.ts';
import type { QuireFile } from './quire-file.ts';
import { withCode } from './testing/expect-code.ts';
import { FileFolder } from './testing/file-folder.ts';

const MIB = 2 ** 20;
const CLOSED = 'ERR_QUIRE_CLOSED';

const folder = new FileFolder();
let quire: Quire;

before(async () => {
  quire = await Quire.open({ budget: '16MiB', threads: 0 });
});

after(async () => {
  await quire.close();
  folder.remove();
});

describe('sync and stat', () => {
  it('sync puts bytes into the file, before any close', async () => {
    const path = folder.newPath();
    const file = await quire.openFile(path, 'w+');
    file.writeSync(Buffer.alloc(10_000, 'x'));
    await file.sync();
    assert.equal(readFileSync(path, 'latin1'), 'x'.repeat(10_000));
    assert.equal(quire.stats().nr_dirty, 0);
    file.writeSync('end', 9_998);
    await file.datasync();
    assert.equal(readFileSync(path, 'latin1'), `${'x'.repeat(9_998)}end`);
    const [ours, nodes] = [await file.stat(), await stat(path)];
    assert.equal(ours.size, nodes.size);
    assert.equal(ours.ino, nodes.ino);
    assert.ok(ours.isFile());
    file.writeSync('more', 20_000);
    assert.equal((await file.stat()).size, 20_004, 'before it is written back');
    assert.equal((await file.stat({ bigint: true })).size, 20_004n);
    await file.close();
  });

  it("the own writes do not count as somebody else's", async () => {
    const path = folder.newPath(Buffer.alloc(MIB));
    const first = await quire.openFile(path, 'r+');
    await first.readFile();
    first.writeSync('x', 5);
    await first.sync();
    const cached = quire.stats().nr_file_pages;
    const second = await quire.openFile(path);
    assert.equal(quire.stats().nr_file_pages, cached, 'nothing was dropped');
    await first.close();
    await second.close();
  });
});

describe('stats', () => {
  it('count pages of files and what is dirty', async () => {
    const other = await Quire.open({
      budget: '16MiB',
      threads: 0,
      files: { dirtyRatio: 40, dirtyBackgroundRatio: 30, readaheadBytes: 0 },
      compaction: 'light',
    });
    const {
      nr_free_pages: pages,
      nr_dirty_threshold: limit,
      nr_dirty_background_threshold: background,
    } = other.stats();
    assert.ok(Math.abs(limit / pages - 0.4) < 0.05 && Math.abs(background / pages - 0.3) < 0.05, 'of the memory');
    const file = await other.openFile(folder.newPath(Buffer.alloc(MIB)), 'r+');
    assert.equal(other.stats().nr_file_pages, 0);
    const page = Buffer.alloc(4096);
    for (let i = 0; i < 10; i++) file.readSync(page, 0, 1, i * 4096);
    assert.equal(other.stats().nr_file_pages, 10, 'nothing was read ahead');
    for (let i = 0; i < 5; i++) file.writeSync(page, 0, 1, i * 4096);
    assert.equal(other.stats().nr_dirty, 5);
    assert.equal(other.stats().nr_writeback, 0);
    await file.sync();
    const stats = other.stats();
    assert.equal(stats.nr_dirty, 0);
    assert.equal(stats.nr_written, 5);
    assert.equal(stats.fragmentationIndex[0], -1000, 'a page is free');
    assert.equal(
      stats.buddyinfo.reduce((sum, count, order) => sum + count * 2 ** order, 0) <= stats.nr_free_pages,
      true,
    );
    await file.close();
    assert.equal(other.stats().nr_file_pages, 0, 'the pages go with the last handle');
    await other.close();
  });

  it('a sequential reader is read ahead of, by 128 KiB at most', async () => {
    const other = await Quire.open({ budget: '16MiB', threads: 0 });
    const file = await other.openFile(folder.newPath(Buffer.alloc(4 * MIB)));
    const bytes = Buffer.alloc(1000);
    let most = 0;
    for (let position = 0; position < 2 * MIB; position += 1000) {
      file.readSync(bytes, 0, 1000, position);
      most = Math.max(most, other.stats().nr_file_pages * 4096 - position);
    }
    assert.ok(most > 100 * 1024 && most <= 132 * 1024, `${most} bytes ahead`);
    const before = other.stats().nr_file_pages;
    for (const place of [3000, 3400, 2700, 3800]) file.readSync(bytes, 0, 10, place * 1000);
    assert.equal(other.stats().nr_file_pages, before + 4, 'random reads take a page each');
    // The page after the last one: a stream begins.
    file.readSync(bytes, 0, 1000, 3_800_000 + 4096);
    assert.equal(other.stats().nr_file_pages, before + 8);
    await file.close();
    await other.close();
  });
});

describe('pins', () => {
  it("are the file's bytes, in place", async () => {
    const bytes = Buffer.from(Array.from({ length: 40_000 }, (_, i) => i % 251));
    const path = folder.newPath(bytes);
    const file = await quire.openFile(path, 'r+');
    const pin = file.pin(5000, 20_000);
    assert.equal(pin.bytes.length, 20_000);
    assert.equal(Buffer.compare(pin.bytes, bytes.subarray(5000, 25_000)), 0);
    pin.bytes.fill(7, 0, 10);
    file.writeSync('through the file', 6000);
    assert.equal(Buffer.from(pin.bytes.subarray(1000, 1016)).toString(), 'through the file');
    const got = Buffer.alloc(10);
    file.readSync(got, 0, 10, 5000);
    assert.deepEqual(got, Buffer.alloc(10, 7));
    pin.release();
    pin.release();
    assert.throws(() => pin.bytes, withCode(CLOSED));
    await file.close();
    bytes.fill(7, 5000, 5010);
    bytes.write('through the file', 6000);
    assert.equal(Buffer.compare(readFileSync(path), bytes), 0);
  });

  it('of a handle that reads leave the file as it is', async () => {
    const path = folder.newPath('read only');
    const file = await quire.openFile(path);
    {
      using pin = file.pin(5, 4);
      assert.equal(Buffer.from(pin.bytes).toString(), 'only');
    }
    assert.equal(quire.stats().nr_dirty, 0);
    await file.close();
  });
});

async function readAll(file: QuireFile, options?: unknown): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of file.readLines(options as { start?: number })) lines.push(line);
  return lines;
}

describe('lines', () => {
  it('as Node reads them', async () => {
    const text = `first\nsecond é\r\n\n${'long '.repeat(50_000)}\nlast`;
    const path = folder.newPath(text);
    const file = await quire.openFile(path);
    const handle = await open(path);
    const expected: string[] = [];
    for await (const line of handle.readLines()) expected.push(line);
    assert.deepEqual(await readAll(file), expected);
    assert.deepEqual(await readAll(file, { start: 6, end: 17 }), ['second é']);
    // The own position has not moved, the handle is open.
    assert.equal(await file.readFile('utf8'), text);
    await file.close();
  });

  it('end with the handle', async () => {
    const file = await quire.openFile(folder.newPath('a\n'.repeat(200_000)));
    const lines = file.readLines();
    await lines.next();
    await file.close();
    await assert.rejects(async () => {
      for await (const line of lines) assert.equal(line, 'a');
    }, withCode(CLOSED));
  });
});

describe('the event loop', () => {
  it('turns while an async call reads, and reads are ahead of a stream', async () => {
    const bytes = Buffer.alloc(6 * MIB);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at);
    const file = await quire.openFile(folder.newPath(bytes));
    const target = Buffer.alloc(10_000);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    for (let position = 0; position < bytes.length; position += target.length) {
      const { bytesRead } = await file.read(target, 0, target.length, position);
      assert.equal(Buffer.compare(target.subarray(0, bytesRead), bytes.subarray(position, position + bytesRead)), 0);
    }
    clearInterval(timer);
    assert.ok(turns > 0, 'timers ran');
    await file.close();
  });

  it('is never held up by a read of an async call', async () => {
    class CountingFiles extends NodeFileIo {
      blocking = 0;

      override readv(fd: number, targets: readonly Uint8Array[], position: number): number {
        this.blocking++;
        return super.readv(fd, targets, position);
      }
    }
    const other = await Quire.open({ budget: '16MiB', threads: 0 });
    const disk = new CountingFiles();
    (other as unknown as { memory: Memory }).memory.files = disk;
    const path = folder.newPath(Buffer.alloc(3 * MIB + 100, 'a'));
    const file = await other.openFile(path, 'r+');
    const appender = await other.openFile(path, 'a');
    await appender.write('appended');
    await appender.writev([Buffer.from('in'), Buffer.from('pieces')]);
    await file.write('a part', 100_000);
    await file.write(Buffer.alloc(2 * MIB, 'b'), 0, 2 * MIB, 500_001);
    await file.writev([Buffer.alloc(5000), Buffer.alloc(6000)], 300_003);
    await file.read(Buffer.alloc(10_000), 0, 10_000, 200_000);
    await file.readv([Buffer.alloc(10_000), Buffer.alloc(100)], 250_000);
    assert.equal((await readAll(file)).length, 1);
    await file.sync();
    await file.truncate(1_000_001);
    assert.equal((await file.readFile()).length, 1_000_001);
    assert.equal(disk.blocking, 0);
    file.readSync(Buffer.alloc(1), 0, 1, 0);
    await appender.close();
    await file.close();
    await other.close();
  });

  it('a read larger than the memory', async () => {
    const bytes = Buffer.alloc(40 * MIB);
    for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(at + 1, at);
    const path = folder.newPath(bytes);
    const file = await quire.openFile(path, 'r+');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes.length));
    assert.equal(bytesRead, bytes.length);
    assert.equal(Buffer.compare(buffer, bytes), 0);
    bytes.fill(1);
    assert.equal((await file.write(bytes, 0, bytes.length, 0)).bytesWritten, bytes.length);
    await file.close();
    assert.equal(Buffer.compare(readFileSync(path), bytes), 0);
  });

  it('a write of a part reads the rest of its block first', async () => {
    const bytes = Buffer.alloc(100_000, 'o');
    const path = folder.newPath(bytes);
    const file = await quire.openFile(path, 'r+');
    await Promise.all([
      file.write('one', 10_000),
      file.write('two', 12_286),
      file.writev([Buffer.alloc(5000, 't'), Buffer.alloc(10, 'f')], 50_000),
      file.write('beyond', 120_000),
    ]);
    await file.close();
    bytes.write('one', 10_000);
    bytes.write('two', 12_286);
    bytes.fill('t', 50_000, 55_000);
    bytes.fill('f', 55_000, 55_010);
    const expected = Buffer.concat([bytes, Buffer.alloc(20_000), Buffer.from('beyond')]);
    assert.equal(Buffer.compare(readFileSync(path), expected), 0);
  });
});

describe('views of every kind', () => {
  it('are written and read as their bytes', async () => {
    const path = folder.newPath();
    const file = await quire.openFile(path, 'w+');
    const numbers = new Float64Array([1.5, -2.25, Math.PI]);
    assert.equal(file.writeSync(numbers), 24);
    assert.equal(file.writeSync(new DataView(numbers.buffer, 8, 8)), 8);
    const back = new Float64Array(4);
    const { bytesRead, buffer } = await file.read(back, 0, 32, 0);
    assert.equal(bytesRead, 32);
    assert.equal(buffer, back);
    assert.deepEqual([...back], [1.5, -2.25, Math.PI, -2.25]);
    const shared = new Uint8Array(new SharedArrayBuffer(8));
    assert.equal(file.readSync(shared, 0, 8, 8), 8);
    assert.equal(new Float64Array(shared.buffer)[0], -2.25);
    // A source that lies in the instance's own memory.
    const io = quire.ioBuffer(4096);
    io.fill(9);
    assert.equal(file.writeSync(io, 0, 4096, 100), 4096);
    io.fill(0);
    assert.equal(file.readSync(io, 0, 4096, 100), 4096);
    assert.ok(io.every((byte) => byte === 9));
    await file.close();
  });
});
