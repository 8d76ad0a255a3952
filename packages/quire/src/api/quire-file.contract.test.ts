/** What QuireFile takes and refuses: flags and their rights, bad arguments, closed and closing handles. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { QuireError } from '../base/errors.ts';
import type { FileFlags } from './file-flags.ts';
import { Quire } from './quire.ts';
import type { QuireFile } from './quire-file.ts';
import { type BadCall, expectAll, NOT_INTEGERS, withCode } from './testing/expect-code.ts';
import { FileFolder } from './testing/file-folder.ts';

const MIB = 2 ** 20;
const INVALID = 'ERR_QUIRE_INVALID_ARG';
const RANGE = 'ERR_QUIRE_RANGE';
const CLOSED = 'ERR_QUIRE_CLOSED';
const FLAGS: readonly FileFlags[] = ['r', 'r+', 'w', 'w+', 'wx', 'wx+', 'a', 'a+', 'ax', 'ax+'];

const folder = new FileFolder();
let quire: Quire;

before(async () => {
  quire = await Quire.open({ budget: '16MiB', threads: 0 });
});

after(async () => {
  await quire.close();
  folder.remove();
});

/** The system's code behind an error of ours. */
function causeOf(error: unknown): unknown {
  assert.ok(error instanceof QuireError, String(error));
  assert.equal(error.code, 'ERR_QUIRE_IO');
  return (error.cause as NodeJS.ErrnoException).code;
}

describe('flags', () => {
  /** What opening does, what may be done then, and what the file holds in the end. */
  async function outcome(path: string, opened: () => Promise<QuireFile | FileHandle>): Promise<unknown[]> {
    let handle: QuireFile;
    try {
      // The calls below are good for both.
      handle = (await opened()) as QuireFile;
    } catch (error) {
      return [error instanceof QuireError ? causeOf(error) : (error as NodeJS.ErrnoException).code];
    }
    const steps: unknown[] = [];
    for (const step of [
      async () => (await handle.read(Buffer.alloc(4), 0, 4, 2)).buffer.toString('latin1'),
      async () => (await handle.read(Buffer.alloc(3), 0, 3, null)).bytesRead,
      async () => (await handle.write('NEW', null)).bytesWritten,
      async () => (await handle.write('AT ONE', 1)).bytesWritten,
      async () => (await handle.write('NEXT', null)).bytesWritten,
      async () => (await handle.read(Buffer.alloc(30), 0, 30, 0)).buffer.toString('latin1'),
      async () => (await handle.stat()).size,
      async () => handle.truncate(5),
      async () => (await handle.write('END', null)).bytesWritten,
    ]) {
      steps.push(await step().catch(() => 'refused'));
    }
    await handle.close();
    return [...steps, readFileSync(path, 'latin1')];
  }

  for (const flags of FLAGS) {
    for (const content of [undefined, 'what was there before']) {
      it(`'${flags}' on ${content === undefined ? 'no file' : 'a file'} is as with Node`, async () => {
        const [ours, nodes] = [folder.newPath(content), folder.newPath(content)];
        const before = folder.descriptors();
        const got = await outcome(ours, () => quire.openFile(ours, flags));
        assert.deepEqual(got, await outcome(nodes, () => open(nodes, flags)));
        assert.equal(folder.descriptors(), before, 'no descriptor is left');
      });
    }
  }

  it('mode and umask', async () => {
    const path = folder.newPath();
    const before = process.umask(0o027);
    try {
      await (await quire.openFile(path, 'w', { mode: 0o666 })).close();
    } finally {
      process.umask(before);
    }
    assert.equal((await stat(path)).mode & 0o777, 0o640);
  });

  it('paths as Node takes them', async () => {
    const path = folder.newPath('x');
    for (const each of [path, pathToFileURL(path), Buffer.from(path)]) {
      const file = await quire.openFile(each);
      assert.equal(file.size, 1);
      assert.ok(file.path.endsWith(path));
      await file.close();
    }
  });
});

describe('refused', () => {
  it('readFile of more than a Buffer holds, and nothing is lost', async () => {
    await using file = await quire.openFile(folder.newPath('0123456789'), 'r+');
    await file.truncate(2 ** 43);
    await assert.rejects(file.readFile(), withCode(RANGE));
    await file.truncate(4);
    assert.equal(await file.readFile('latin1'), '0123');
  });

  it('a file too many, by its own name', async () => {
    const files: QuireFile[] = [];
    try {
      await assert.rejects(async () => {
        while (files.length <= 512) files.push(await quire.openFile(folder.newPath('x')));
      }, /files and regions/);
      assert.ok(files.length > 500);
    } finally {
      for (const file of files) await file.close();
    }
  });

  it('by openFile, with nothing left open', async () => {
    const inside = join(folder.newPath('a file'), 'inside');
    const sub = join(folder.path, 'sub');
    await mkdir(sub);
    const before = folder.descriptors();
    const opening =
      (...args: unknown[]) =>
      () =>
        quire.openFile(...(args as [string]));
    const path = folder.newPath('x');
    await expectAll([
      ...[undefined, null, 5, {}, ''].map(
        (value) => ({ what: `path ${String(value)}`, call: opening(value), code: INVALID }) as const,
      ),
      { what: 'path with a null byte', call: opening('a\0b'), code: INVALID },
      { what: 'URL of the web', call: opening(new URL('https://example.org')), code: INVALID },
      ...[null, 0, 2, '', 'rw', 'rs+', 'as', {}].map(
        (value) => ({ what: `flags ${String(value)}`, call: opening(path, value), code: INVALID }) as const,
      ),
      ...[null, 5, 'x'].map(
        (value) => ({ what: `options ${String(value)}`, call: opening(path, 'r', value), code: INVALID }) as const,
      ),
      ...[null, '0666', 1.5].map(
        (mode) => ({ what: `mode ${String(mode)}`, call: opening(path, 'r', { mode }), code: INVALID }) as const,
      ),
      { what: 'mode 0o10000', call: opening(path, 'r', { mode: 0o10000 }), code: RANGE },
      { what: 'a folder to read', call: opening(sub), code: 'ERR_QUIRE_UNSUPPORTED' },
      { what: 'a folder to write', call: opening(sub, 'r+'), code: 'ERR_QUIRE_UNSUPPORTED' },
      { what: 'a device', call: opening('/dev/null', 'r+'), code: 'ERR_QUIRE_UNSUPPORTED' },
      { what: 'a file that is not there', call: opening(folder.newPath()), code: 'ERR_QUIRE_IO' },
      { what: 'below a file', call: opening(inside, 'w'), code: 'ERR_QUIRE_IO' },
    ]);
    const missing = folder.newPath();
    await assert.rejects(quire.openFile(missing), (error) => {
      assert.equal(causeOf(error), 'ENOENT');
      assert.ok((error as Error).message.includes(missing), 'the message names the file');
      return true;
    });
    assert.equal(folder.descriptors(), before);
  });

  it('by each call, with nothing changed', async () => {
    const path = folder.newPath('0123456789');
    const file = await quire.openFile(path, 'r+');
    // biome-ignore lint/suspicious/noExplicitAny: wrong types are the subject.
    const any = file as any;
    const ten = Buffer.alloc(10);
    const integers = NOT_INTEGERS.filter((value) => value !== undefined);
    await expectAll([
      ...[undefined, null, 5, 'text', [], new ArrayBuffer(3)].flatMap((value) => [
        { what: `readSync ${String(value)}`, call: () => any.readSync(value), code: INVALID } as const,
        { what: `readvSync ${String(value)}`, call: () => any.readvSync([value]), code: INVALID } as const,
        { what: `writev ${String(value)}`, call: () => any.writev([value]), code: INVALID } as const,
        { what: `writevSync ${String(value)}`, call: () => any.writevSync([value]), code: INVALID } as const,
      ]),
      ...[undefined, null, 5, [], new ArrayBuffer(3)].flatMap((value) => [
        { what: `write ${String(value)}`, call: () => any.write(value), code: INVALID } as const,
        { what: `writeSync ${String(value)}`, call: () => any.writeSync(value), code: INVALID } as const,
        { what: `writeFile ${String(value)}`, call: () => any.writeFile(value), code: INVALID } as const,
      ]),
      ...[5, 'text', [], new ArrayBuffer(3)].map(
        (value) => ({ what: `read ${String(value)}`, call: () => any.read(value), code: INVALID }) as const,
      ),
      ...integers
        .flatMap((value) => [
          { what: `truncate ${String(value)}`, call: () => any.truncate(value), code: INVALID } as const,
          { what: `pin ${String(value)}`, call: () => any.pin(value, 1), code: INVALID } as const,
          { what: `pin length ${String(value)}`, call: () => any.pin(0, value), code: INVALID } as const,
          {
            what: `readLines start ${String(value)}`,
            call: () => readAll(file, { start: value }),
            code: INVALID,
          } as const,
          { what: `readLines end ${String(value)}`, call: () => readAll(file, { end: value }), code: INVALID } as const,
        ])
        .filter(({ what }) => !what.startsWith('readLines start null')),
      { what: 'encoding', call: () => any.write('x', null, 'utf-77'), code: INVALID },
      { what: 'readFile encoding', call: () => any.readFile('utf-77'), code: INVALID },
      { what: 'offset beyond', call: () => file.readSync(ten, 11), code: RANGE },
      { what: 'length beyond', call: () => file.write(ten, 5, 6), code: RANGE },
      { what: 'position beyond', call: () => file.writeSync(ten, 0, 10, 2 ** 45), code: RANGE },
      { what: 'position beyond, later', call: () => file.write(ten, 0, 10, 2 ** 45 - 9), code: RANGE },
      { what: 'truncate beyond', call: () => file.truncate(2 ** 45 + 1), code: RANGE },
      { what: 'pin of nothing', call: () => file.pin(0, 0), code: RANGE },
      { what: 'pin beyond the end', call: () => file.pin(5, 6), code: RANGE },
    ]);
    assert.equal(file.size, 10);
    await file.close();
    assert.equal(readFileSync(path, 'latin1'), '0123456789');
  });

  it('reading what was opened for writing, and the other way round', async () => {
    const path = folder.newPath('0123456789');
    const ten = Buffer.alloc(10);
    const reader = await quire.openFile(path, 'r');
    const writer = await quire.openFile(path, 'a');
    await expectAll([
      { what: 'readSync', call: () => writer.readSync(ten), code: INVALID },
      { what: 'read', call: () => writer.read(ten), code: INVALID },
      { what: 'readvSync', call: () => writer.readvSync([ten]), code: INVALID },
      { what: 'readv', call: () => writer.readv([ten]), code: INVALID },
      { what: 'readFile', call: () => writer.readFile(), code: INVALID },
      { what: 'readLines', call: () => readAll(writer), code: INVALID },
      { what: 'pin', call: () => writer.pin(0, 1), code: INVALID },
      { what: 'writeSync', call: () => reader.writeSync(ten), code: INVALID },
      { what: 'write', call: () => reader.write(ten), code: INVALID },
      { what: 'write text', call: () => reader.write('x'), code: INVALID },
      { what: 'writevSync', call: () => reader.writevSync([ten]), code: INVALID },
      { what: 'writev', call: () => reader.writev([ten]), code: INVALID },
      { what: 'writeFile', call: () => reader.writeFile('x'), code: INVALID },
      { what: 'appendFile', call: () => reader.appendFile('x'), code: INVALID },
      { what: 'truncate', call: () => reader.truncate(), code: INVALID },
    ]);
    await reader.close();
    await writer.close();
    assert.equal(readFileSync(path, 'latin1'), '0123456789');
  });
});

async function readAll(file: QuireFile, options?: unknown): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of file.readLines(options as { start?: number })) lines.push(line);
  return lines;
}

describe('closing', () => {
  function everyCall(file: QuireFile): BadCall[] {
    const ten = Buffer.alloc(10);
    const calls: Record<string, () => unknown> = {
      size: () => file.size,
      readSync: () => file.readSync(ten),
      read: () => file.read(ten),
      readvSync: () => file.readvSync([ten]),
      readv: () => file.readv([ten]),
      writeSync: () => file.writeSync(ten),
      write: () => file.write(ten),
      writevSync: () => file.writevSync([ten]),
      writev: () => file.writev([ten]),
      readFile: () => file.readFile(),
      writeFile: () => file.writeFile('x'),
      appendFile: () => file.appendFile('x'),
      readLines: () => readAll(file),
      pin: () => file.pin(0, 1),
      truncate: () => file.truncate(),
      sync: () => file.sync(),
      datasync: () => file.datasync(),
      stat: () => file.stat(),
    };
    return Object.entries(calls).map(([what, call]): BadCall => ({ what, call, code: CLOSED }));
  }

  it('every call afterwards is ERR_QUIRE_CLOSED, also while it is closing', async () => {
    const file = await quire.openFile(folder.newPath('0123456789'), 'r+');
    const pin = file.pin(2, 3);
    const closing = file.close();
    assert.equal(file.close(), closing, 'one promise');
    await expectAll(everyCall(file));
    await closing;
    await expectAll(everyCall(file));
    assert.throws(() => pin.bytes, withCode(CLOSED));
    pin.release();
    await file.close();
    await file[Symbol.asyncDispose]();
  });

  it('of the instance closes its files and writes them', async () => {
    for (const threads of [0, 1]) {
      const other = await Quire.open({ budget: '16MiB', threads });
      const path = folder.newPath();
      const before = folder.descriptors();
      const file = await other.openFile(path, 'w+');
      const second = await other.openFile(path, 'r');
      file.writeSync('written');
      const pin = file.pin(0, 7);
      pin.bytes[0] = 'W'.charCodeAt(0);
      await other.close();
      await expectAll(everyCall(file));
      await expectAll(everyCall(second));
      await assert.rejects(other.openFile(path), withCode(CLOSED));
      await file.close();
      assert.equal(readFileSync(path, 'latin1'), 'Written');
      assert.equal(folder.descriptors(), before, 'descriptors are closed');
    }
  });

  it('waits for what is under way', async () => {
    const path = folder.newPath(Buffer.alloc(5 * MIB, 'a'));
    const file = await quire.openFile(path, 'r+');
    const target = Buffer.alloc(5 * MIB);
    const reading = file.read(target, 0, target.length, 0);
    const writing = file.write(Buffer.alloc(3 * MIB, 'b'), 0, 3 * MIB, 5 * MIB);
    const own = [file.write('1'), file.write('2'), file.write('3')];
    await file.close();
    assert.equal((await reading).bytesRead, 5 * MIB);
    assert.equal((await writing).bytesWritten, 3 * MIB);
    assert.deepEqual(
      (await Promise.all(own)).map(({ bytesWritten }) => bytesWritten),
      [1, 1, 1],
    );
    const bytes = readFileSync(path);
    assert.equal(bytes.length, 8 * MIB);
    assert.equal(bytes.subarray(0, 4).toString(), '123a');
    assert.ok(bytes.subarray(5 * MIB).every((byte) => byte === 'b'.charCodeAt(0)));
  });

  it('an opening that the close of the instance overtakes', async () => {
    const other = await Quire.open({ budget: '8MiB', threads: 0 });
    const before = folder.descriptors();
    const opening = other.openFile(folder.newPath('x'));
    await other.close();
    await assert.rejects(opening, withCode(CLOSED));
    assert.equal(folder.descriptors(), before);
  });

  it('files and regions share 512 places', async () => {
    const other = await Quire.open({ budget: '16MiB', threads: 0 });
    const regions = Array.from({ length: 511 }, () => other.region({ size: 1 }));
    const path = folder.newPath('x');
    const one = await other.openFile(path);
    const same = await other.openFile(path);
    const before = folder.descriptors();
    await assert.rejects(other.openFile(folder.newPath('x')), withCode('ERR_QUIRE_OUT_OF_MEMORY'));
    assert.equal(folder.descriptors(), before);
    regions[0].close();
    await (await other.openFile(folder.newPath('x'))).close();
    await one.close();
    await same.close();
    await other.close();
  });
});
