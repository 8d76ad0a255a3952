/**
 * Attached workers that end without close(): terminated in the middle of whatever they do, exited, failed. The others go on,
 * everything the dead held comes back, and nothing is reported as left when the owner closes.
 */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { Worker } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import { nodeTasks } from '../daemons/node-tasks.ts';
import { makePage } from '../testing/page-data.ts';
import type { Memory } from '../vm/memory.ts';
import { Quire } from './quire.ts';
import { withCode } from './testing/expect-code.ts';
import { FileFolder } from './testing/file-folder.ts';
import { startVictim } from './testing/victim.ts';

const MIB = 2 ** 20;
const FAILED = 'ERR_QUIRE_FAILED';

const folder = new FileFolder();
after(() => folder.remove());

function homeOf(quire: Quire): Int32Array {
  return (quire as unknown as { memory: Memory }).memory.nodes[0].words;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (condition()) return;
    await pause(10);
  }
  assert.fail(`${what} did not happen`);
}

/** It died inside a node lock, where it may be half way through anything: the whole instance says so, and nothing else is accepted. */
function isFailed(quire: Quire): boolean {
  return Atomics.load(homeOf(quire), L.H_STATE) === L.STATE_FAILED;
}

/** Until only `threads` are attached, or the instance has failed because of how the thread died. */
async function buried(quire: Quire, threads: number): Promise<boolean> {
  await until('the burial', () => isFailed(quire) || quire.stats().threads === threads);
  if (isFailed(quire)) assert.throws(() => quire.stats(), withCode(FAILED));
  return !isFailed(quire);
}

describe('the system knows its threads', () => {
  it('the calling one lives, one that never was does not', () => {
    const { task, start, worker } = nodeTasks.self();
    assert.ok(task > 0 && worker === 0);
    assert.equal(nodeTasks.isAlive(task, start), true);
    assert.equal(nodeTasks.isAlive(task, start + 1), false, 'another thread with its number');
    assert.equal(nodeTasks.isAlive(2 ** 30, start), false);
  });
});

const ENDINGS: Record<string, { readonly body: string; end(worker: Worker): Promise<unknown> }> = {
  'is terminated': { body: 'say();', end: (worker) => worker.terminate() },
  'calls process.exit': {
    body: 'say(); setTimeout(() => process.exit(3), 20);',
    end: (worker) => new Promise((resolve) => worker.once('exit', resolve)),
  },
  'throws what nobody catches': {
    body: `say(); setTimeout(() => { throw new Error('for the test'); }, 20);`,
    end: (worker) => new Promise((resolve) => worker.once('exit', resolve)),
  },
};

describe('a worker that ends without close()', () => {
  for (const threads of [0, 1]) {
    for (const [how, { body, end }] of Object.entries(ENDINGS)) {
      it(`${how}, with ${threads} daemons: slot, pins, I/O buffer and regions come back`, async () => {
        const quire = await Quire.open({ budget: '16MiB', threads });
        const kept = quire.region({ size: 8 * MIB, name: 'kept' });
        for (let page = 0; page < 600; page++) kept.write(page * 4096, makePage(page, 'noise'));
        const before = quire.stats();
        const worker = await startVictim(
          quire.handle,
          `const kept = quire.region({ size: ${8 * MIB}, name: 'kept' });
           const own = quire.region({ size: ${8 * MIB} });
           own.fill(0, ${4 * MIB}, 7);
           globalThis.held = [kept.pin(0, 4096), kept.pin(4096, 100 * 4096), own.pin(0, ${2 * MIB}), quire.ioBuffer(65536)];
           quire.map().set('key', new Uint8Array(100));
           ${body}`,
        );
        assert.equal(quire.stats().threads, before.threads + 1);
        await end(worker);
        assert.ok(await buried(quire, before.threads), 'asleep it holds no lock');
        const { nodes } = (quire as unknown as { memory: Memory }).memory;
        for (const node of nodes) {
          for (let pfn = node.firstFree; pfn < node.frames; pfn++) assert.ok(node.words[node.pinAt + pfn] <= 0, `pin ${pfn}`);
        }
        assert.equal(Atomics.load(homeOf(quire), L.H_PSI_THREADS), 1);
        assert.equal(quire.stats().nr_anon_pages + quire.stats().swap_slots_used <= 600, true, 'its own region is gone');
        const got = new Uint8Array(4096);
        for (let page = 0; page < 600; page++) {
          kept.read(page * 4096, got);
          assert.equal(Buffer.compare(got, makePage(page, 'noise')), 0, `page ${page}`);
        }
        kept.close();
        const fresh = quire.region({ size: 8 * MIB, name: 'kept' });
        fresh.read(0, got);
        assert.ok(got.every((byte) => byte === 0), 'the dead does not hold its name');
        await quire.close();
      });
    }
  }

  it('two hundred threads, more than there are slots, and no time for anybody to look', async () => {
    const quire = await Quire.open({ budget: '32MiB', threads: 1 });
    quire.region({ size: MIB, name: 'shared' });
    const body = `
      globalThis.all = Array.from({ length: 40 }, () => Quire.attach(handle));
      for (const each of all) each.region({ size: ${MIB}, name: 'shared' }).pin(0, 4096);
      say();`;
    for (let i = 0; i < 5; i++) await (await startVictim(quire.handle, body)).terminate();
    assert.ok(await buried(quire, 2));
    assert.equal(quire.stats().threads_buried, 205, 'with the five that came first in each worker');
    await quire.close();
  });
});
