/** Whole chunks discarded with real threads at work: kswapd frees them later, figures and `close` are exact all the same. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { H_DETACHED, H_FREE_FRAMES, H_STOP } from '../arena/layout.ts';
import { makePage } from '../testing/page-data.ts';
import { Quire } from './quire.ts';
import type { Region } from './region.ts';
import { startClient } from './testing/client.ts';

const MIB = 2 ** 20;
const CHUNK = 2 * MIB;

function write(region: Region, pages: number, seed: number): void {
  for (let page = 0; page < pages; page++) region.write(page * 4096, makePage(page + seed, 'text'));
}

interface Inside {
  readonly memory: { readonly nodes: readonly { readonly words: Int32Array }[] };
  readonly owns: { readonly pool: { stopping: boolean } };
}

describe('discarded chunks', () => {
  for (const virtual of [true, false]) {
    it(`are gone for stats(), and come back by themselves, virtual: ${virtual}`, async () => {
      const quire = await Quire.open({ budget: '16MiB', threads: 2, virtual });
      const region = quire.region({ size: 32 * MIB, group: 'g' });
      for (let round = 0; round < 3; round++) {
        write(region, 6000, round);
        region.discard(0, 32 * MIB);
        const stats = quire.stats();
        for (const name of ['nr_anon_pages', 'zs_objects', 'raw_pages', 'swap_slots_used', 'nr_inflight'] as const) {
          assert.equal(stats[name], 0, `${name} in round ${round}`);
        }
        assert.ok(stats.leaves_detached > 0);
      }
      const idle = quire.stats();
      write(region, 6000, 9);
      region.discard(0, 32 * MIB);
      const { nodes } = (quire as unknown as Inside).memory;
      const free = (): number => nodes.reduce((sum, node) => sum + node.words[H_FREE_FRAMES], 0);
      for (let turn = 0; free() < idle.nr_free_pages - 200 && turn < 2000; turn++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.ok(free() >= idle.nr_free_pages - 200, 'kswapd freed them, nobody asked');
      await quire.close();
    });
  }

  it('of a group count as its own until they are freed, and stats of the group say that they are', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 2 });
    const group = quire.group('small', { limit: 4 * MIB });
    const region = quire.region({ size: 32 * MIB, group: 'small' });
    for (let round = 0; round < 20; round++) {
      write(region, 1024, round);
      region.discard(0, 2 * CHUNK);
      if (round % 5 === 0) {
        assert.deepEqual([group.stats().resident_bytes, group.stats().swapped_bytes], [0, 0]);
      }
    }
    assert.equal(group.stats().failures, 0);
    await quire.close();
  });

  it('with a thread that writes and one that reads: each page is as one write left it, or zeros', async () => {
    const quire = await Quire.open({ budget: '12MiB', threads: 2 });
    const region = quire.region({ size: 16 * MIB, name: 'shared' });
    await using writer = await startClient(quire.handle);
    await using reader = await startClient(quire.handle);
    const work = (body: string): string => `
      const region = quire.region({ size: ${16 * MIB}, name: 'shared' });
      const page = new Uint32Array(1024);
      const bytes = new Uint8Array(page.buffer);
      const end = Date.now() + 2500;
      let wrong = 0;
      for (let turn = 0; Date.now() < end; turn++) {
        const number = (turn * 7919) % 4096;
        ${body}
      }
      await quire.close();
      return wrong;`;
    const writes = writer.run(work('page.fill(number * 65536 + (turn & 65535)); region.write(number * 4096, bytes);'));
    const reads = reader.run(
      work(`region.read(number * 4096, bytes);
        if (page.some((word) => word !== page[0]) || (page[0] !== 0 && page[0] >>> 16 !== number)) wrong++;`),
    );
    let done = false;
    const both = Promise.all([writes, reads]).finally(() => {
      done = true;
    });
    for (let turn = 0; !done; turn++) {
      region.discard((turn % 8) * CHUNK, CHUNK);
      if (turn % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await both, [0, 0]);
    assert.ok(quire.stats().leaves_detached > 0);
    region.close();
    await quire.close();
  });

  it('are freed by close when no kswapd is there to do it', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 1 });
    const region = quire.region({ size: 16 * MIB });
    write(region, 4096, 1);
    const { memory, owns } = quire as unknown as Inside;
    owns.pool.stopping = true; // it is not replaced
    Atomics.store(memory.nodes[0].words, H_STOP, 1);
    for (let turn = 0; quire.stats().threads > 1 && turn < 2000; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    region.close();
    assert.equal(memory.nodes[0].words[H_DETACHED], 8);
    await quire.close();
  });
});
