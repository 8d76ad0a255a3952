import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { WrongAnswer } from '../benchmark.ts';
import { makeFileFolder } from '../file-folder.ts';
import { dropFromPageCache, pathOfUnlinked } from './cold-file.ts';
import { type TieredStore, TierWork, UNIT_BYTES } from './tier-work.ts';

const PAGES = 64;
const READ_BYTES = 16_384;

/** Plain memory: the model of every column. */
function memoryStore(): TieredStore & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(PAGES * 4096);
  const buffer = new Uint8Array(READ_BYTES);
  return {
    bytes,
    buffer,
    write: (offset, source) => bytes.set(source, offset),
    read: (offset, length) => buffer.set(bytes.subarray(offset, offset + length)),
  };
}

describe('the work of lab tier', () => {
  it('accepts plain memory, in every phase', () => {
    const work = new TierWork(memoryStore(), PAGES, READ_BYTES, 1);
    work.fill();
    assert.equal(work.run('verify', 100).ops, 100);
    assert.equal(work.run('random', 300).ops, 300);
    assert.equal(work.run('sequential', PAGES).ops, PAGES);
  });

  it('reads a part of the pages in order, and only that', () => {
    const store = memoryStore();
    const work = new TierWork(store, PAGES, READ_BYTES, 1);
    work.fill();
    store.bytes.fill(0, 0, (PAGES / 2) * 4096);
    assert.equal(work.run('sequential', PAGES / 2, PAGES / 2).ops, PAGES / 2);
    assert.throws(() => work.run('sequential', PAGES / 2, 0), WrongAnswer);
  });

  it('sees one wrong byte of each unit in verify, and lost pages in the checksums', () => {
    const store = memoryStore();
    const work = new TierWork(store, PAGES, READ_BYTES, 2);
    work.fill();
    for (let at = 0; at < store.bytes.length; at += UNIT_BYTES) store.bytes[at + 1023] ^= 1;
    assert.throws(() => work.run('verify', 1), WrongAnswer);
    store.bytes.fill(0);
    assert.throws(() => work.run('random', 1000), WrongAnswer);
    assert.throws(() => work.run('sequential', PAGES), WrongAnswer);
  });

  it('writes words that do not repeat', () => {
    const store = memoryStore();
    new TierWork(store, PAGES, READ_BYTES, 3).fill();
    assert.equal(new Set(new Uint32Array(store.bytes.buffer)).size, store.bytes.length / 4);
  });
});

describe('a cold file', () => {
  const folder = makeFileFolder('ext4');
  after(folder.remove);

  it('is found by its descriptor after it was unlinked, and can be dropped from the page cache', () => {
    const path = join(folder.path, 'gone');
    writeFileSync(path, Buffer.alloc(65_536, 7));
    const fd = openSync(path, 'r');
    rmSync(path);
    const byFd = pathOfUnlinked(folder.path);
    assert.equal(byFd, `/proc/${process.pid}/fd/${fd}`);
    assert.equal(dropFromPageCache(byFd), true);
    assert.equal(dropFromPageCache(join(folder.path, 'never')), false);
    closeSync(fd);
    assert.throws(() => pathOfUnlinked(folder.path));
  });
});
