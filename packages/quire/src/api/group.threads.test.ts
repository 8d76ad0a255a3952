/** Two groups in four threads at once: each page keeps its bytes, no limit is exceeded, and the figures are exact in the end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Quire } from './quire.ts';
import { startClient } from './testing/client.ts';

const MIB = 2 ** 20;
/** Of each thread. */
const PAGES = 1500;
/** Writes to pages that exist may take so much beyond the limit when nothing of the group can go. */
const RESERVE_BYTES = 64 * 1024;

const GROUPS = [
  { name: 'a', limit: MIB },
  { name: 'b', limit: 2 * MIB },
];

/** Writes and reads pages of its own at random, checks them, and looks at the figures all the while. */
function body(thread: number, seed: number): string {
  const { name, limit } = GROUPS[thread % GROUPS.length];
  return `
    const region = state.region = quire.region({ size: ${16 * MIB}, group: '${name}' });
    const group = state.group = quire.group('${name}');
    let random = ${seed};
    const below = (n) => (random = Math.imul(random, 1103515245) + 12345 >>> 0) % n;
    const seeds = new Map();
    const got = new Uint8Array(4096);
    const wrong = [];
    for (let step = 0; step < 12000; step++) {
      const page = below(${PAGES});
      const dice = below(10);
      if (dice < 5) {
        const value = below(1000);
        region.write(page * 4096, makePage(value));
        seeds.set(page, value);
      } else if (dice < 9) {
        region.read(page * 4096, got);
        const expected = seeds.has(page) ? makePage(seeds.get(page)) : new Uint8Array(4096);
        if (Buffer.compare(got, expected) !== 0) wrong.push(page);
      } else {
        region.discard(page * 4096, 4096);
        seeds.delete(page);
      }
      if (step % 50 === 0 && group.stats().resident_bytes > ${limit + RESERVE_BYTES}) wrong.push('above the limit');
    }
    return { wrong, pages: seeds.size };`;
}

describe('two groups in four threads', () => {
  for (const threads of [0, 2]) {
    it(`stay within their limits and apart, with ${threads} daemons`, async () => {
      const seed = 1 + Math.floor(Math.random() * 1e9);
      const quire = await Quire.open({ budget: '24MiB', threads });
      const groups = GROUPS.map(({ name, limit }) => quire.group(name, { limit }));
      // Of another group, and not used: stays in memory all the while.
      const idle = quire.region({ size: MIB, group: 'idle' });
      idle.fill(0, MIB, 9);
      const idleGroup = quire.group('idle');
      await using first = await startClient(quire.handle);
      await using second = await startClient(quire.handle);
      await using third = await startClient(quire.handle);
      await using fourth = await startClient(quire.handle);
      const clients = [first, second, third, fourth];
      const results = (await Promise.all(clients.map((client, i) => client.run(body(i, seed + i))))) as {
        wrong: unknown[];
        pages: number;
      }[];
      assert.deepEqual(
        results.map(({ wrong }) => wrong),
        [[], [], [], []],
        `seed ${seed}`,
      );
      const held = quire.stats().groups;
      for (const [i, group] of groups.entries()) {
        const stats = group.stats();
        const pages = results[i].pages + results[i + 2].pages;
        assert.equal(held[group.name], pages, `seed ${seed}`);
        assert.ok(stats.resident_bytes + stats.swapped_bytes >= pages * 4096);
        assert.ok(stats.peak_bytes <= GROUPS[i].limit + RESERVE_BYTES);
        assert.equal(stats.failures, 0);
        assert.ok(stats.limit_hits > 0);
      }
      assert.equal(idleGroup.stats().resident_bytes, MIB, 'nobody took of the third');
      for (const client of clients) {
        await client.run('await quire.close()');
        await client.end();
      }
      for (const group of groups) {
        const { resident_bytes, swapped_bytes } = group.stats();
        assert.deepEqual([resident_bytes, swapped_bytes], [0, 0]);
      }
      // Counts every frame and slot again.
      await quire.close();
    });
  }
});
