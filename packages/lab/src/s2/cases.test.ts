import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ColumnAbsent, WrongAnswer } from '../benchmark.ts';
import { makeFileFolder } from '../file-folder.ts';
import { batchOf, CASES, caseLine, END_CASE, FILE_BYTES, LARGE_FOLIO_BYTES, orderOf, reachOf } from './cases.ts';
import { compileHostFile, startHostFile } from './host-program.ts';
import { NodeTimedFile } from './node-file.ts';
import { type TimedFile, WriteTimer, type WrittenFile } from './timed-writes.ts';

const folder = makeFileFolder('tmpfs');
after(folder.remove);

describe('the cases', () => {
  it('stay inside the file, whatever the batch', () => {
    for (const work of [...CASES, END_CASE])
      assert.ok(work.offset + reachOf(work, batchOf(work)) <= FILE_BYTES, work.name);
    assert.equal(END_CASE.offset % LARGE_FOLIO_BYTES, LARGE_FOLIO_BYTES - 4096);
  });

  it('survive being written as a line and read back', () => {
    for (const work of [...CASES, END_CASE]) {
      const { work: read, samples, batch } = orderOf(caseLine(work, 7, 3));
      assert.deepEqual({ ...work, name: work.call, mail: null }, read);
      assert.deepEqual([samples, batch], [7, 3]);
    }
    for (const line of ['', 'case', 'case read 0 1 1 1 1', 'case write 0 1024 1 5', 'case write x 1024 1 5 10']) {
      assert.throws(() => orderOf(line), RangeError, line);
    }
  });
});

/** Node's file with a fault. */
class LossyFile implements TimedFile {
  readonly #inner: NodeTimedFile;

  constructor(path: string) {
    this.#inner = new NodeTimedFile(path);
  }

  async rewound(): Promise<WrittenFile> {
    const file = await this.#inner.rewound();
    return {
      readSync: (...args) => file.readSync(...args),
      writeSync: (_buffer, _offset, length) => length,
      writevSync: (buffers) => buffers.reduce((sum, { length }) => sum + length, 0),
    };
  }

  close(): void {
    this.#inner.close();
  }
}

describe('WriteTimer', () => {
  it('leaves what it says in the file, and a sample for each batch', async () => {
    const path = join(folder.path, 'timed');
    writeFileSync(path, Buffer.alloc(FILE_BYTES));
    const file = new NodeTimedFile(path);
    const timer = new WriteTimer(file);
    let stamp = 0;
    for (const work of [...CASES, END_CASE]) {
      const ns = await timer.run({ work, samples: 3, batch: 4 });
      stamp += 1;
      assert.equal(ns.length, 3);
      assert.ok(ns.every(Number.isFinite));
      const bytes = readFileSync(path);
      const end = work.offset + reachOf(work, 4);
      assert.ok(
        bytes.subarray(work.offset, end).every((byte) => byte === stamp),
        work.name,
      );
      assert.notEqual(bytes[end], stamp);
    }
    assert.equal(readFileSync(path).length, FILE_BYTES);
    file.close();
  });

  it('refuses a file that lost what was written', async () => {
    const path = join(folder.path, 'lossy');
    writeFileSync(path, Buffer.alloc(FILE_BYTES));
    const file = new LossyFile(path);
    for (const work of CASES) {
      await assert.rejects(new WriteTimer(file).run({ work, samples: 1, batch: 2 }), WrongAnswer);
    }
    file.close();
  });
});

describe('native/host-file.c', () => {
  it('writes the same bytes as the TypeScript columns', async (test) => {
    const program = compiled();
    if (program === null) return test.diagnostic('no C compiler');
    const path = join(folder.path, 'host');
    const child = startHostFile(program, path, 4096);
    await child.ready('host');
    assert.equal(readFileSync(path).length, FILE_BYTES);
    let stamp = 0;
    for (const work of [...CASES, END_CASE]) {
      const { ns } = await child.phase<{ ns: number[] }>(caseLine(work, 3, 4));
      stamp += 1;
      assert.equal(ns.length, 3);
      const bytes = readFileSync(path);
      const end = work.offset + reachOf(work, 4);
      assert.ok(
        bytes.subarray(work.offset, end).every((byte) => byte === stamp),
        work.name,
      );
      assert.notEqual(bytes[end], stamp);
    }
    const folios = await child.phase<{ smallestBytes: number; largestBytes: number }>('folios');
    assert.ok(folios.smallestBytes <= folios.largestBytes);
    await child.end();
  });

  it('refuses a line that it does not know', (test) => {
    const program = compiled();
    if (program === null) return test.diagnostic('no C compiler');
    for (const input of ['case read\n', 'case write 0 2000000 1 5 10\n', 'case write 0 1024 99 5 10\n']) {
      const refused: { status: number | null } = spawnSync(program, [join(folder.path, 'refused'), '4096'], { input });
      assert.equal(refused.status, 1, input);
    }
  });
});

function compiled(): string | null {
  try {
    return compileHostFile('host');
  } catch (error) {
    if (error instanceof ColumnAbsent) return null;
    throw error;
  }
}
