import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Child } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { createControl, runPhase } from './crew.ts';
import { compileHostUsemem } from './host-usemem.ts';
import { pageWords, type ShareStore, STEP_BYTES, shareOf, verifyShare, writeShare } from './share.ts';

function plainStore(pages: number): ShareStore & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(pages * PAGE_BYTES);
  return {
    bytes,
    write: (offset, source) => bytes.set(source, offset),
    read: (offset, target) => target.set(bytes.subarray(offset, offset + target.length)),
  };
}

describe('a share of the usemem run', () => {
  it('is as large as every other, and they do not overlap', () => {
    for (const [pages, threads] of [
      [100, 1],
      [101, 2],
      [1000, 7],
    ]) {
      const shares = Array.from({ length: threads }, (_, index) => shareOf(pages, threads, index));
      for (const [index, share] of shares.entries()) {
        assert.equal(share.pages, Math.floor(pages / threads));
        assert.equal(share.firstPage, index * share.pages);
      }
    }
  });

  it('has in every 16 bytes a 64-bit word that is its own index, and zeros between', () => {
    const store = plainStore(8);
    writeShare(store, { firstPage: 3, pages: 4 });
    const words = new BigUint64Array(store.bytes.buffer);
    for (let word = 0; word < words.length; word += 1) {
      const inShare = word - 3 * (PAGE_BYTES / 8);
      const isWritten = inShare >= 0 && inShare < 4 * (PAGE_BYTES / 8) && inShare % (STEP_BYTES / 8) === 0;
      assert.equal(words[word], isWritten ? BigInt(inShare) : 0n, `word ${word}`);
    }
  });

  it('is found wrong at the page where one word differs', () => {
    const store = plainStore(6);
    const share = { firstPage: 1, pages: 5 };
    writeShare(store, share);
    assert.equal(verifyShare(store, share), -1);
    store.bytes[(1 + 3) * PAGE_BYTES + 4088] ^= 1;
    assert.equal(verifyShare(store, share), 3);
  });

  it('does not depend on what the page held before, of the same share', () => {
    const halves = new Uint32Array(PAGE_BYTES / 4);
    pageWords(7, halves);
    pageWords(2, halves);
    const fresh = new Uint32Array(PAGE_BYTES / 4);
    pageWords(2, fresh);
    assert.deepEqual(halves, fresh);
  });
});

/** A thread of a crew that counts what it is told to run, in words of its own; it fails at 'verify' when `fails` is set. */
const MEMBER = `
  const { workerData } = require('node:worker_threads');
  (async () => {
    const { serveCrew } = await import(workerData.url);
    serveCrew(workerData.control, (phase) => {
      Atomics.add(workerData.seen, ['write', 'verify', 'free'].indexOf(phase), 1);
      if (phase === 'verify' && workerData.fails) throw new Error('wrong on purpose');
    });
  })();`;

describe('a crew', () => {
  it('runs every phase once in every thread, and ends', async () => {
    const control = createControl();
    const seen = new Int32Array(new SharedArrayBuffer(12));
    const workers = startMembers(3, { control, seen, fails: false });
    for (const phase of ['write', 'verify', 'free', 'write'] as const) assert.ok(runPhase(control, 3, phase) > 0);
    runPhase(control, 3, 'end');
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
    assert.deepEqual([...seen], [6, 3, 3]);
  });

  it('fails as a whole when one thread does', async () => {
    const control = createControl();
    const seen = new Int32Array(new SharedArrayBuffer(12));
    const workers = startMembers(1, { control, seen, fails: true });
    runPhase(control, 1, 'write');
    assert.throws(() => runPhase(control, 1, 'verify'), /a thread failed/);
    await Promise.all(workers.map((worker) => worker.terminate()));
  });
});

function startMembers(count: number, data: Record<string, unknown>): Worker[] {
  const url = new URL('./crew.js', import.meta.url).href;
  const workerData = { ...data, url };
  return Array.from(
    { length: count },
    () => new Worker(MEMBER, { eval: true, workerData, execArgv: [], stderr: true }),
  );
}

/** Everything the host program needs but root: it stays in its cgroup. */
describe('native/host-usemem.c', { concurrency: false }, () => {
  it('writes what it verifies, in any number of processes', async (context) => {
    if (spawnSync('cc', ['--version']).error !== undefined) {
      context.diagnostic('no C compiler here');
      return;
    }
    const program = compileHostUsemem();
    for (const processes of [1, 3]) {
      const child = new Child(program, ['600', `${processes}`, `${STEP_BYTES}`, '', '0']);
      await child.ready('host');
      for (const phase of ['write', 'verify', 'free']) {
        const result = await child.phase<{ phase: string; us: number }>(phase);
        assert.equal(result.phase, phase);
        assert.ok(result.us > 0);
      }
      await child.end();
    }
  });

  it('sees words that were not written', async (context) => {
    if (spawnSync('cc', ['--version']).error !== undefined) {
      context.diagnostic('no C compiler here');
      return;
    }
    const child = new Child(compileHostUsemem(), ['64', '2', `${STEP_BYTES}`, '', '0']);
    await child.ready('host');
    await assert.rejects(child.phase('verify'), { name: 'WrongAnswer' });
    await child.kill();
  });
});
