import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WrongAnswer } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { FileWork, type PagedFile, PHASES } from './file-work.ts';

const PAGES = 16;

/** A file in an array, with a fault that a test can choose. */
class ArrayFile implements PagedFile {
  readonly bytes = Buffer.alloc(PAGES * PAGE_BYTES);
  writes = 0;
  losesWrite = -1;

  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number {
    buffer.set(this.bytes.subarray(position, position + length), offset);
    return length;
  }

  writeSync(buffer: Uint8Array, offset: number, length: number, position: number): number {
    this.writes += 1;
    if (this.writes !== this.losesWrite) this.bytes.set(buffer.subarray(offset, offset + length), position);
    return length;
  }
}

describe('FileWork', () => {
  it('runs each phase with the calls it is told, and the file ends as its model', () => {
    for (const chunkBytes of [PAGE_BYTES, 4 * PAGE_BYTES, PAGES * PAGE_BYTES]) {
      const file = new ArrayFile();
      const work = new FileWork(file, PAGES);
      work.fill(chunkBytes);
      assert.equal(file.writes, (PAGES * PAGE_BYTES) / chunkBytes);
      for (const phase of [...PHASES, ...PHASES]) {
        const before = file.writes;
        assert.ok(work.run(phase, 50) > 0);
        assert.equal(file.writes - before, phase.startsWith('write') ? 50 : 0, phase);
      }
      work.verify();
    }
  });

  it('sees a write that was lost', () => {
    const file = new ArrayFile();
    const work = new FileWork(file, PAGES);
    work.fill(PAGE_BYTES);
    file.losesWrite = file.writes + 5;
    assert.throws(() => work.run('write_seq', PAGES), WrongAnswer);
  });

  it('sees a page that changed by itself, in order and at random', () => {
    for (const phase of ['read_seq', 'read_random'] as const) {
      const file = new ArrayFile();
      const work = new FileWork(file, PAGES);
      work.fill(PAGE_BYTES);
      work.run(phase, 200);
      for (let page = 0; page < PAGES; page += 1) file.bytes.writeUInt32LE(99, page * PAGE_BYTES);
      assert.throws(() => work.run(phase, 200), WrongAnswer);
    }
  });
});
