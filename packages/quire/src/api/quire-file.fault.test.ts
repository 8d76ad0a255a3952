/** A disk that refuses, gives little and takes little, beneath QuireFile: who is told, what stays, what can be tried again. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { QuireError } from '../base/errors.ts';
import { NodeFileIo } from '../daemons/node-file-io.ts';
import type { Memory } from '../vm/memory.ts';
import { Quire } from './quire.ts';
import { withCode } from './testing/expect-code.ts';
import { FileFolder } from './testing/file-folder.ts';

const MIB = 2 ** 20;
const PAGE = 4096;

/** The system's files with faults switched on and off. */
class FaultyFiles extends NodeFileIo {
  /** Error code of every call of the kind, while it is set. */
  failReads: string | undefined;
  failWrites: string | undefined;
  failTruncate: string | undefined;
  /** Reads that touch bytes from here on fail too. */
  badFrom = Number.POSITIVE_INFINITY;
  /** Most bytes a call moves. */
  most = Number.POSITIVE_INFINITY;
  writes = 0;

  override readv(fd: number, targets: readonly Uint8Array[], position: number): number {
    if (this.failReads !== undefined) throw systemError(this.failReads, 'readv');
    return super.readv(fd, this.few(targets), position);
  }

  override writev(fd: number, sources: readonly Uint8Array[], position: number): number {
    this.writes++;
    if (this.failWrites !== undefined) throw systemError(this.failWrites, 'writev');
    return super.writev(fd, this.few(sources), position);
  }

  override async readvAsync(fd: number, targets: readonly Uint8Array[], position: number): Promise<number> {
    if (this.failReads !== undefined) throw systemError(this.failReads, 'readv');
    const bytes = targets.reduce((sum, target) => sum + target.length, 0);
    if (position + bytes > this.badFrom) throw systemError('EIO', 'readv');
    return super.readvAsync(fd, this.few(targets), position);
  }

  override truncate(fd: number, size: number): void {
    if (this.failTruncate !== undefined) throw systemError(this.failTruncate, 'ftruncate');
    super.truncate(fd, size);
  }

  heal(): void {
    this.badFrom = Number.POSITIVE_INFINITY;
    this.failReads = undefined;
    this.failWrites = undefined;
    this.failTruncate = undefined;
    this.most = Number.POSITIVE_INFINITY;
  }

  private few(parts: readonly Uint8Array[]): readonly Uint8Array[] {
    return this.most === Number.POSITIVE_INFINITY ? parts : [parts[0].subarray(0, this.most)];
  }
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: made up, ${syscall}`), { code, syscall, errno: -1 });
}

const hasCause = (code: string, path: string) => (error: unknown) => {
  assert.ok(error instanceof QuireError, String(error));
  assert.equal(error.code, 'ERR_QUIRE_IO');
  assert.equal((error.cause as NodeJS.ErrnoException).code, code);
  assert.ok(error.message.includes(path), `the message names the file: ${error.message}`);
  return true;
};

describe('a disk that fails', () => {
  const folder = new FileFolder();
  let quire: Quire;
  let disk: FaultyFiles;
  let path: string;

  after(() => {
    folder.remove();
  });

  beforeEach(async () => {
    quire = await Quire.open({ budget: '16MiB', threads: 0 });
    disk = new FaultyFiles();
    (quire as unknown as { memory: Memory }).memory.files = disk;
    path = folder.newPath();
  });

  afterEach(async () => {
    disk.heal();
    await quire.close();
    assert.equal(folder.descriptors(), 0, 'no descriptor is left');
  });

  for (const code of ['EIO', 'ENOSPC']) {
    it(`${code} of writing back reaches every handle once, and the bytes stay`, async () => {
      const [one, two] = [await quire.openFile(path, 'w+'), await quire.openFile(path, 'r+')];
      one.writeSync(Buffer.alloc(3 * PAGE, 'a'));
      disk.failWrites = code;
      await assert.rejects(one.sync(), hasCause(code, path));
      assert.equal(quire.stats().nr_dirty, 3, 'dirty as before');
      const got = Buffer.alloc(3 * PAGE);
      assert.equal(two.readSync(got, 0, got.length, 0), got.length);
      assert.ok(got.every((byte) => byte === 'a'.charCodeAt(0)));
      disk.heal();
      await one.sync();
      assert.equal(readFileSync(path, 'latin1'), 'a'.repeat(3 * PAGE), 'tried again, and written');
      await assert.rejects(two.datasync(), hasCause(code, path), 'the other handle hears of it too');
      await two.datasync();
      // Opened when everybody had been told.
      const three = await quire.openFile(path, 'r+');
      await three.sync();
      for (const file of [one, two, three]) await file.close();
    });
  }

  it('close that cannot write leaves the handle open', async () => {
    const file = await quire.openFile(path, 'w+');
    file.writeSync('not lost');
    disk.failWrites = 'ENOSPC';
    await assert.rejects(file.close(), hasCause('ENOSPC', path));
    await assert.rejects(file.close(), withCode('ERR_QUIRE_IO'), 'again, now that it was told');
    assert.equal(await file.readFile('utf8').then(() => file.size), 8);
    file.writeSync('!', 8);
    disk.heal();
    await file.close();
    assert.equal(readFileSync(path, 'latin1'), 'not lost!');
  });

  it('close of the instance tells what is lost, and closes all', async () => {
    const [one, two] = [await quire.openFile(path, 'w+'), await quire.openFile(`${path}.two`, 'w+')];
    one.writeSync('lost');
    disk.failWrites = 'EIO';
    await assert.rejects(quire.close(), hasCause('EIO', path));
    assert.equal(readFileSync(path, 'latin1'), '');
    for (const file of [one, two]) assert.throws(() => file.size, withCode('ERR_QUIRE_CLOSED'));
    await one.close();
    quire = await Quire.open({ budget: '8MiB', threads: 0 });
  });

  it('a page behind those that were asked for fails nobody; one among them shortens the call', async () => {
    writeFileSync(path, Buffer.alloc(3 * MIB, 'r'));
    const file = await quire.openFile(path, 'r+');
    disk.badFrom = 2 * PAGE;
    const page = Buffer.alloc(PAGE);
    assert.equal((await file.read(page, 0, PAGE, 0)).bytesRead, PAGE, 'what is read ahead is not what was asked for');
    const some = Buffer.alloc(4 * PAGE);
    assert.equal((await file.read(some)).bytesRead, 2 * PAGE);
    await assert.rejects(file.read(some), hasCause('EIO', path), 'the next call meets the error');
    disk.heal();
    disk.badFrom = 4 * PAGE;
    const parts = [Buffer.alloc(PAGE), Buffer.alloc(PAGE), Buffer.alloc(PAGE)];
    assert.equal((await file.readv(parts)).bytesRead, 2 * PAGE, 'the own position was at the third page');
    assert.equal(
      await file.writev([Buffer.alloc(100, 'w'), Buffer.alloc(1)], 2 * MIB - 100).catch(() => 'none'),
      'none',
    );
    disk.heal();
    await file.readv([page], 2 * MIB - PAGE);
    disk.badFrom = 2 * MIB;
    const written = await file.write(Buffer.alloc(200, 'w'), 0, 200, 2 * MIB - 100);
    assert.equal(written.bytesWritten, 100, 'as much as was written before the error');
    const vector = [Buffer.alloc(100, 'x'), Buffer.alloc(100, 'x')];
    assert.equal((await file.writev(vector, 2 * MIB - 100)).bytesWritten, 100);
    disk.heal();
    await file.close();
  });

  it('reads that fail tell of it, and can be tried again', async () => {
    const bytes = Buffer.alloc(6 * PAGE, 'r');
    writeFileSync(path, bytes);
    const file = await quire.openFile(path, 'r+');
    const got = Buffer.alloc(2 * PAGE);
    file.readSync(got, 0, 10, 3 * PAGE);
    disk.failReads = 'EIO';
    assert.throws(() => file.readSync(got, 0, 10, 5 * PAGE), hasCause('EIO', path));
    await assert.rejects(file.read(got, 0, 10, 5 * PAGE), hasCause('EIO', path));
    assert.throws(() => file.pin(5 * PAGE, 10), hasCause('EIO', path));
    await assert.rejects(
      async () => {
        for await (const line of file.readLines()) assert.equal(line, '');
      },
      hasCause('EIO', path),
    );
    // Of a block that is written in part the rest cannot be read: nothing is changed.
    assert.throws(() => file.writeSync('x', 5 * PAGE + 7), hasCause('EIO', path));
    await assert.rejects(file.write('x', 5 * PAGE + 7), hasCause('EIO', path));
    // What is cached can be read; a whole block can be written.
    assert.equal(file.readSync(got, 0, 10, 3 * PAGE), 10);
    assert.equal(file.writeSync(Buffer.alloc(PAGE, 'w'), 0, PAGE, 5 * PAGE), PAGE);
    disk.heal();
    assert.equal((await file.read(got, 0, 2 * PAGE, 4 * PAGE)).bytesRead, 2 * PAGE);
    assert.equal(got.toString('latin1'), 'r'.repeat(PAGE) + 'w'.repeat(PAGE));
    await file.close();
    assert.equal(readFileSync(path, 'latin1'), 'r'.repeat(5 * PAGE) + 'w'.repeat(PAGE));
  });

  it('truncate that fails changes nothing', async () => {
    writeFileSync(path, 'twelve bytes');
    const file = await quire.openFile(path, 'r+');
    disk.failTruncate = 'EIO';
    await assert.rejects(file.truncate(3), hasCause('EIO', path));
    await assert.rejects(file.truncate(30), hasCause('EIO', path));
    await assert.rejects(quire.openFile(path, 'w'), hasCause('EIO', path));
    assert.equal(file.size, 12);
    assert.equal(await file.readFile('utf8'), 'twelve bytes');
    disk.heal();
    await file.truncate(6);
    await file.close();
    assert.equal(readFileSync(path, 'latin1'), 'twelve');
  });

  for (const most of [1, 100, 5000]) {
    it(`short reads and writes, ${most} bytes at most`, async () => {
      const bytes = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 7) % 251));
      writeFileSync(path, bytes);
      const file = await quire.openFile(path, 'r+');
      disk.most = most;
      const got = Buffer.alloc(bytes.length);
      assert.equal(file.readSync(got, 0, 9000, 0), 9000);
      assert.equal((await file.read(got, 9000, 11_000, 9000)).bytesRead, 11_000);
      assert.equal(Buffer.compare(got, bytes), 0);
      bytes.fill(3, 5000, 15_000);
      await file.write(bytes.subarray(5000, 15_000), 0, 10_000, 5000);
      await file.sync();
      assert.equal(Buffer.compare(readFileSync(path), bytes), 0);
      await file.close();
    });
  }

  it('memory full of bytes that cannot be written: refused, nothing lost, and on it goes when the disk is back', async () => {
    const file = await quire.openFile(path, 'w+');
    disk.failWrites = 'EIO';
    const chunk = Buffer.alloc(64 * 1024);
    let written = 0;
    let refused: unknown;
    while (refused === undefined && written < 64 * MIB) {
      chunk.fill(1 + ((written / chunk.length) % 255));
      try {
        written += file.writeSync(chunk, 0, chunk.length, written);
      } catch (error) {
        refused = error;
      }
    }
    assert.ok(
      refused instanceof QuireError && written > 4 * MIB && written < 16 * MIB,
      `${written} ${String(refused)}`,
    );
    assert.ok(['ERR_QUIRE_OUT_OF_MEMORY', 'ERR_QUIRE_SWAP_FULL'].includes(refused.code), refused.code);
    disk.heal();
    // The error is fresh; sync tries nevertheless.
    await file.sync().catch(withCode('ERR_QUIRE_IO'));
    await file.sync();
    assert.equal(quire.stats().nr_dirty, 0);
    const onDisk = readFileSync(path);
    assert.ok(onDisk.length >= written);
    for (let at = 0; at + chunk.length <= written; at += chunk.length) {
      assert.equal(onDisk[at], 1 + ((at / chunk.length) % 255), `byte ${at}`);
      assert.equal(onDisk[at + chunk.length - 1], onDisk[at]);
    }
    await file.close();
  });
});
