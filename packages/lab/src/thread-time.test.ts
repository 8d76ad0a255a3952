import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { between, ranMs, threadIds, threadTime } from './thread-time.ts';

describe('threadTime', () => {
  it('moves forward with work, the main thread never more than the process', () => {
    const before = threadTime();
    let sum = 0;
    for (const start = performance.now(); performance.now() - start < 60; ) sum += Math.sqrt(sum + 1);
    const { mainMs, mainWaitedMs, processMs } = between(before, threadTime());
    assert.ok(sum > 0);
    assert.ok(processMs > 0 && mainMs >= 0 && mainWaitedMs >= 0);
    // The kernel accounts both at its own moments, a few ms apart.
    assert.ok(mainMs <= processMs + 20, `${mainMs} of ${processMs} ms`);
  });

  it('is a plain difference', () => {
    const from = { mainMs: 1, mainWaitedMs: 2, processMs: 3 };
    const to = { mainMs: 11, mainWaitedMs: 22, processMs: 33 };
    assert.deepEqual(between(from, to), { mainMs: 10, mainWaitedMs: 20, processMs: 30 });
  });
});

describe('threads of the process', () => {
  it('a new one is the last of the list, and its time is its own', async () => {
    const before = threadIds();
    const worker = new Worker('const end = Date.now() + 80; while (Date.now() < end); setInterval(() => {}, 1000);', {
      eval: true,
    });
    await new Promise((resolve) => worker.once('online', resolve));
    const [started] = threadIds().filter((id) => !before.includes(id));
    // No /proc: nothing is told, and nothing is claimed.
    if (before.length === 0) assert.equal(started, undefined);
    else {
      assert.ok(started !== undefined);
      assert.equal(threadIds().indexOf(started), before.length);
      while (ranMs(started) < 10) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await worker.terminate();
    if (started !== undefined) assert.equal(ranMs(started), 0, 'gone');
  });
});
