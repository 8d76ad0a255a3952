import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { KIND_CACHED, KIND_NEW, KIND_TABLE, kindOf, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { MIB, NO_PFN, PAGE_WORDS, type Pfn, type WordIndex } from '../base/units.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import { checkBuddy } from './buddy.ts';
import { GFP_KSWAPD_RECLAIM, GFP_NOWAIT, GFP_RECLAIM, GFP_USER } from './gfp.ts';
import { allocLocked, drainCachesLocked, freeLocked } from './page-allocator.ts';
import {
  allocTableFrameLocked,
  allocTableLocked,
  freeTableFrameLocked,
  freeTableLocked,
  SLAB_2K,
  SLAB_512,
} from './table-slab.ts';
import { watermarksFor } from './watermarks.ts';

let instance: TestInstance;

beforeEach(() => {
  instance = createTestInstance({ bytes: 2 * MIB, areas: 2 });
});

afterEach(() => {
  instance.finish();
});

function takeFrames(gfp: number, limit = Number.POSITIVE_INFINITY): Pfn[] {
  const { node } = instance;
  return locked(node, () => {
    const taken: Pfn[] = [];
    while (taken.length < limit) {
      const pfn = allocLocked(node, 0, L.MIGRATE_MOVABLE, gfp, KIND_NEW);
      if (pfn === NO_PFN) break;
      taken.push(pfn);
    }
    return taken;
  });
}

function freeAll(pfns: readonly Pfn[]): void {
  const { node } = instance;
  locked(node, () => {
    for (const pfn of pfns) freeLocked(node, pfn);
  });
}

describe('watermarks', () => {
  it('rise with the node and keep their order', () => {
    let last = 0;
    for (let frames = 100; frames < 1_000_000; frames = Math.ceil(frames * 1.3)) {
      const { min, low, high } = watermarksFor(frames);
      assert.ok(min >= 16 && min < low && low < high, `${frames}: ${min} ${low} ${high}`);
      assert.ok(min >= last, 'min never falls');
      assert.ok(frames < 512 || high < frames / 3, 'most of a node can be used');
      last = min;
    }
  });

  it('only reclaim gets below min, and it gets the last frame', () => {
    const { node } = instance;
    const user = takeFrames(GFP_USER);
    assert.equal(node.words[L.H_FREE_FRAMES], node.words[L.H_WMARK_MIN]);
    const reserve = takeFrames(GFP_RECLAIM);
    assert.equal(reserve.length, node.words[L.H_WMARK_MIN]);
    assert.equal(node.words[L.H_FREE_FRAMES], 0);
    assert.equal(new Set([...user, ...reserve]).size, user.length + reserve.length);
    freeAll([...user, ...reserve]);
  });

  it('kswapd is woken at low, once, and not by those who may not', () => {
    const { node } = instance;
    const free = node.words[L.H_FREE_FRAMES];
    const held = takeFrames(GFP_RECLAIM, free - node.words[L.H_WMARK_LOW]);
    assert.equal(node.words[L.H_KSWAPD_WAKE], 0);
    const events = node.words[L.H_EVENTS];
    held.push(...takeFrames(GFP_NOWAIT, 1), ...takeFrames(GFP_KSWAPD_RECLAIM, 1));
    assert.equal(node.words[L.H_KSWAPD_WAKE], 1);
    assert.equal(node.words[L.H_EVENTS], events + 1, 'one event for the edge');
    freeAll(held);
  });
});

describe('caches of order-0 frames', () => {
  it('count as free and give everything back when drained', () => {
    const { node } = instance;
    const free = node.words[L.H_FREE_FRAMES];
    freeAll(takeFrames(GFP_USER, 40));
    const cached = node.words[node.threadAt + L.T_CACHE_COUNT];
    assert.ok(cached > 0 && cached <= 48 + 1, `${cached} cached`);
    assert.equal(node.words[L.H_FREE_FRAMES], free);
    assert.equal(checkBuddy(node), free - cached);
    assert.equal(
      locked(node, () => drainCachesLocked(node)),
      cached,
    );
    assert.equal(checkBuddy(node), free);
  });

  it('a thread short of frames gets those cached by others', () => {
    const other = instance.join();
    const [theirs] = other.nodes;
    const taken = locked(theirs, () =>
      Array.from({ length: 20 }, () => allocLocked(theirs, 0, L.MIGRATE_MOVABLE, GFP_RECLAIM, KIND_NEW)),
    );
    locked(theirs, () => {
      for (const pfn of taken) freeLocked(theirs, pfn);
    });
    assert.ok(theirs.words[theirs.threadAt + L.T_CACHE_COUNT] > 0);
    const all = takeFrames(GFP_RECLAIM);
    assert.equal(instance.node.words[L.H_FREE_FRAMES], 0);
    assert.equal(theirs.words[theirs.threadAt + L.T_CACHE_COUNT], 0);
    freeAll(all);
  });

  it('any mix of orders, threads and frees ends where it began', () => {
    const other = instance.join();
    const views = [instance.node, other.nodes[0]];
    const free = instance.node.words[L.H_FREE_FRAMES];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(5), fc.nat(1), fc.nat(), fc.nat(2)), { maxLength: 300, size: 'max' }),
        (operations) => {
          const held: Pfn[] = [];
          let used = 0;
          for (const [order, thread, pick, action] of operations) {
            const node = views[thread];
            locked(node, () => {
              if (action > 0) {
                const pfn = allocLocked(node, order, action - 1, GFP_USER, KIND_NEW);
                if (pfn === NO_PFN) return;
                held.push(pfn);
                used += 1 << order;
              } else if (held.length > 0) {
                const before = node.words[L.H_FREE_FRAMES];
                freeLocked(node, held.splice(pick % held.length, 1)[0]);
                used -= node.words[L.H_FREE_FRAMES] - before;
              }
            });
            assert.equal(node.words[L.H_FREE_FRAMES], free - used);
          }
          freeAll(held);
          instance.check();
        },
      ),
      { numRuns: 60 },
    );
    assert.equal(instance.node.words[L.H_FREE_FRAMES], free);
  });

  it('a cached frame says so', () => {
    const { node } = instance;
    const [pfn] = takeFrames(GFP_USER, 1);
    freeAll([pfn]);
    assert.equal(kindOf(node, pfn), KIND_CACHED);
    setKindLocked(node, pfn, KIND_NEW);
    assert.throws(() => instance.check(), /cached frames/);
    setKindLocked(node, pfn, KIND_CACHED);
  });
});

describe('table slab', () => {
  it('parts come zeroed, never overlap, and the last one frees the frame', () => {
    const { node } = instance;
    const operations = fc.array(fc.tuple(fc.nat(1), fc.nat(), fc.boolean()), { maxLength: 200, size: 'max' });
    fc.assert(
      fc.property(operations, (sequence) => {
        const held: { at: WordIndex; size: number }[] = [];
        const tables = node.words[L.H_TABLE_FRAMES];
        for (const [size, pick, wantsTake] of sequence) {
          locked(node, () => {
            if (wantsTake) {
              const at = allocTableLocked(node, size, GFP_USER);
              if (at === 0) return;
              const words = size === SLAB_2K ? PAGE_WORDS / 2 : PAGE_WORDS / 8;
              assert.ok(
                node.words.subarray(at, at + words).every((word) => word === 0),
                'a part comes zeroed',
              );
              node.words.fill(at, at, at + words);
              held.push({ at, size });
            } else if (held.length > 0) {
              const [part] = held.splice(pick % held.length, 1);
              const words = part.size === SLAB_2K ? PAGE_WORDS / 2 : PAGE_WORDS / 8;
              assert.ok(
                node.words.subarray(part.at, part.at + words).every((word) => word === part.at),
                'nobody else wrote it',
              );
              freeTableLocked(node, part.size, part.at);
            }
          });
        }
        const large = held.filter((part) => part.size === SLAB_2K).length;
        const least = Math.ceil(large / 2) + Math.ceil((held.length - large) / 8);
        assert.ok(node.words[L.H_TABLE_FRAMES] - tables >= least);
        locked(node, () => {
          for (const part of held) freeTableLocked(node, part.size, part.at);
        });
        assert.equal(node.words[L.H_TABLE_FRAMES], tables);
        instance.check();
      }),
      { numRuns: 80 },
    );
  });

  it('asserts on a part freed twice or as the wrong size', () => {
    const { node } = instance;
    locked(node, () => {
      const keep = allocTableLocked(node, SLAB_512, GFP_USER);
      const at = allocTableLocked(node, SLAB_512, GFP_USER);
      assert.throws(() => freeTableLocked(node, SLAB_2K, at), /slab part/);
      freeTableLocked(node, SLAB_512, at);
      assert.throws(() => freeTableLocked(node, SLAB_512, at), /slab part/);
      freeTableLocked(node, SLAB_512, keep);
    });
  });

  it('says so when there is no frame', () => {
    const { node } = instance;
    const all = takeFrames(GFP_RECLAIM);
    locked(node, () => {
      assert.equal(allocTableLocked(node, SLAB_2K, GFP_RECLAIM), 0);
      assert.equal(allocTableFrameLocked(node, GFP_RECLAIM), NO_PFN);
    });
    freeAll(all);
    locked(node, () => {
      const pfn = allocTableFrameLocked(node, GFP_USER);
      assert.equal(kindOf(node, pfn), KIND_TABLE);
      freeTableFrameLocked(node, pfn);
    });
  });
});
