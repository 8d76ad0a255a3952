/** Threads that die, and invariants that break: replaced where that is safe, FAILED where it is not, never a hang. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import { frameFromPte, isPresent } from '../arena/pte.ts';
import type { Pfn } from '../base/units.ts';
import type { WorkerPool } from '../daemons/worker-pool.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { lruRemoveLocked } from '../reclaim/lru.ts';
import { makePage } from '../testing/page-data.ts';
import { locked } from '../testing/test-instance.ts';
import type { Memory } from '../vm/memory.ts';
import { Quire } from './quire.ts';
import type { Region } from './region.ts';
import { withCode } from './testing/expect-code.ts';

const MIB = 2 ** 20;
const FAILED = 'ERR_QUIRE_FAILED';

interface Inside {
  readonly memory: Memory;
  readonly owns: { readonly pool: WorkerPool };
}

function inside(quire: Quire): Inside {
  return quire as unknown as Inside;
}

function writePages(region: Region, count: number, seed: number): void {
  for (let page = 0; page < count; page++) region.write(page * 4096, makePage(page + seed, 'text'));
}

function assertPages(region: Region, count: number, seed: number): void {
  const got = new Uint8Array(4096);
  for (let page = 0; page < count; page++) {
    region.read(page * 4096, got);
    assert.equal(Buffer.compare(got, makePage(page + seed, 'text')), 0, `page ${page}`);
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`${what} did not happen`);
}

describe('a daemon that dies', () => {
  it('idle: is replaced, nothing is lost', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 2 });
    const { pool } = inside(quire).owns;
    const region = quire.region({ size: 64 * MIB });
    for (let round = 0; round < 3; round++) {
      writePages(region, 5000, round);
      const worker = pool.worker(round % 2);
      assert.ok(worker !== undefined);
      // Asleep: nothing to do for a while.
      await new Promise((resolve) => setTimeout(resolve, 150));
      await worker.terminate();
      await until('a new worker', () => {
        const next = pool.worker(round % 2);
        return next !== undefined && next !== worker && quire.stats().threads === 3;
      });
      assertPages(region, 5000, round);
    }
    await quire.close();
  });

  it('at work: is replaced, or the instance says that it failed; no page is ever wrong', async () => {
    for (let round = 0; round < 4; round++) {
      const quire = await Quire.open({ budget: '8MiB', threads: 2 });
      const { pool } = inside(quire).owns;
      const region = quire.region({ size: 64 * MIB });
      try {
        writePages(region, 3000, round);
        // The daemons still have work to do.
        await pool.worker(round % 2)?.terminate();
        writePages(region, 3000, round);
        assertPages(region, 3000, round);
      } catch (error) {
        withCode(FAILED)(error);
      }
      await quire.close();
    }
  });
});

describe('a thread that dies holding the node lock', () => {
  it('makes the instance FAILED; nobody waits for ever', async () => {
    const quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const region = quire.region({ size: MIB });
    const lockUrl = JSON.stringify(new URL('../arena/node-lock.js', import.meta.url).href);
    const code = `
      const { workerData } = require('node:worker_threads');
      import(${lockUrl}).then(({ acquire }) => acquire(new Int32Array(workerData.memories[0].buffer), ${L.H_LOCK}, 60));`;
    const worker = new Worker(code, { eval: true, workerData: quire.handle, execArgv: [] });
    await new Promise((resolve) => worker.on('exit', resolve));
    assert.throws(() => region.write(0, new Uint8Array(4096)), withCode(FAILED));
    assert.throws(() => region.write(0, new Uint8Array(4096)), withCode(FAILED), 'at once from now on');
    assert.throws(() => quire.region({ size: MIB }), withCode(FAILED));
    assert.throws(
      () =>
        Quire.attach({
          ...inside(quire).memory,
          ...(quire as unknown as { sharedHandle: object }).sharedHandle,
        } as never),
      withCode(FAILED),
    );
    region.close();
    await quire.close();
  });
});

describe('a broken invariant', () => {
  it('latches FAILED: that call and every later one, and close still ends', async () => {
    const quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const region = quire.region({ size: MIB });
    const map = quire.map<string, string>({ value: 'utf8' });
    map.set('a', 'b');
    region.fill(0, 8192, 1);
    const [node] = inside(quire).memory.nodes;
    const pte = node.words[findLeaf(node, region.id, 0)];
    assert.ok(isPresent(pte));
    // The frame is taken off its LRU list behind the core's back.
    locked(node, () => lruRemoveLocked(node, frameFromPte(pte) as Pfn));
    assert.throws(() => region.discard(0, 4096), withCode(FAILED));
    const ten = new Uint8Array(10);
    const calls = [
      () => region.read(0, ten),
      () => region.write(0, ten),
      () => region.fill(0, 1),
      () => region.discard(0, 1),
      () => region.pin(0, 1),
      () => quire.stats(),
      () => quire.region({ size: MIB }),
      () => quire.map(),
      () => quire.handle,
      () => map.set('c', 'd'),
      () => map.get('a'),
    ];
    for (const [i, call] of calls.entries()) assert.throws(call, withCode(FAILED), `call ${i}`);
    await assert.rejects(region.readAsync(0, ten), withCode(FAILED));
    await quire.close();
  });
});
