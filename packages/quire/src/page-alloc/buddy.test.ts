import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { KIND_NEW, KIND_REGION, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { NO_PFN, ORDER_MAX, type Pfn } from '../base/units.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import {
  checkBuddy,
  freeBlocks,
  giveBlockLocked,
  isolateBlockLocked,
  listAt,
  setTypeLocked,
  takeBlockLocked,
  takeFrontLocked,
  typeOf,
} from './buddy.ts';

/** The node all heaps of this file are made in; each starts with every frame taken. */
const instance = createTestInstance({ bytes: L.NODE_BYTES_MIN, areas: 1 });
const { node } = instance;

interface Block {
  readonly pfn: Pfn;
  readonly order: number;
}

/** Takes every free frame, so that only what `give` returns is on the lists. Returns all of them. */
function takeAll(of: Node): Block[] {
  const all: Block[] = [];
  for (let order = ORDER_MAX; order >= 0; order--) {
    for (let pfn = take(of, order, L.MIGRATE_MOVABLE); pfn !== NO_PFN; pfn = take(of, order, L.MIGRATE_MOVABLE))
      all.push({ pfn, order });
  }
  return all;
}

function take(of: Node, order: number, type: number): Pfn {
  const pfn = takeBlockLocked(of, order, type);
  if (pfn !== NO_PFN) setKindLocked(of, pfn, KIND_NEW, order);
  return pfn;
}

function give(of: Node, block: Block): void {
  setKindLocked(of, block.pfn, 0);
  giveBlockLocked(of, block.pfn, block.order);
}

/** Runs `work` on a heap of exactly the frames `[first, first + frames)`, every other frame taken; puts all back afterwards. */
function onHeap(frames: number, work: (first: number) => void): void {
  const all = takeAll(node);
  const large = all.find((block) => 1 << block.order >= 32) as Block;
  const first = large.pfn;
  const keep: Block[] = [];
  for (let at = 0; at < 1 << large.order; at++) {
    const block = { pfn: (first + at) as Pfn, order: 0 };
    setKindLocked(node, block.pfn, KIND_NEW);
    if (at < frames) give(node, block);
    else keep.push(block);
  }
  work(first);
  for (const block of keep) give(node, block);
  for (const block of all) if (block !== large) give(node, block);
  assert.equal(checkBuddy(node), free);
}

const free = checkBuddy(node);

describe('buddy', () => {
  it('starts with every frame on the lists, as the largest aligned blocks', () => {
    assert.equal(free, node.words[L.H_FREE_FRAMES]);
    const total = Array.from({ length: ORDER_MAX + 1 }, (_, order) => freeBlocks(node, order) << order).reduce(
      (a, b) => a + b,
    );
    assert.equal(total, free);
  });

  for (const frames of [1, 2, 3, 4, 5, 7, 8, 12, 16]) {
    it(`every sequence of five operations on a heap of ${frames} frames`, () => {
      onHeap(frames, (first) => {
        explore(frames, first, [], 5);
      });
    });
  }

  it('merges back to one block from any order of frees', () => {
    onHeap(8, () => {
      for (let permutation = 0; permutation < 40_320; permutation += 13) {
        const pfns = Array.from({ length: 8 }, () => take(node, 0, L.MIGRATE_MOVABLE));
        for (const index of permutationOf(8, permutation)) give(node, { pfn: pfns[index], order: 0 });
        assert.equal(freeBlocks(node, 3), 1);
        assert.equal(checkBuddy(node), 8);
      }
    });
  });

  it('takes the smallest block that fits', () => {
    onHeap(12, (first) => {
      // 8 + 4 free.
      assert.equal(take(node, 2, L.MIGRATE_MOVABLE), first + 8);
      assert.equal(take(node, 2, L.MIGRATE_MOVABLE), first);
      assert.equal(take(node, 3, L.MIGRATE_MOVABLE), NO_PFN);
      give(node, { pfn: first as Pfn, order: 2 });
      give(node, { pfn: (first + 8) as Pfn, order: 2 });
    });
  });

  it('unmovable memory claims a pageblock where most is free or unmovable, from any order', () => {
    for (const order of [0, 1, 4]) {
      onHeap(16, (first) => {
        // The rest of the pageblock is private, which counts as unmovable.
        const pfn = take(node, order, L.MIGRATE_UNMOVABLE);
        assert.equal(typeOf(node, pfn), L.MIGRATE_UNMOVABLE);
        checkBuddy(node);
        give(node, { pfn, order });
        assert.equal(checkBuddy(node), 16);
        setTypeLocked(node, first as Pfn, L.MIGRATE_MOVABLE);
        assert.equal(checkBuddy(node), 16);
      });
    }
  });

  it('movable memory claims from order 4 up, where most is free or movable; below, it takes a block alone', () => {
    const typeAfter = (frames: number, kind: number): number => {
      let type = -1;
      onHeap(frames, (first) => {
        setTypeLocked(node, first as Pfn, L.MIGRATE_UNMOVABLE);
        amongst(kind, first, frames, () => {
          const pfn = take(node, 0, L.MIGRATE_MOVABLE);
          type = typeOf(node, pfn);
          give(node, { pfn, order: 0 });
          assert.equal(checkBuddy(node), frames);
        });
        setTypeLocked(node, first as Pfn, L.MIGRATE_MOVABLE);
      });
      return type;
    };
    assert.equal(typeAfter(16, KIND_REGION), L.MIGRATE_MOVABLE);
    assert.equal(typeAfter(16, KIND_NEW), L.MIGRATE_UNMOVABLE, 'too little of it suits');
    assert.equal(typeAfter(8, KIND_REGION), L.MIGRATE_UNMOVABLE, 'nothing of order 4 is free');
  });

  it('a block alone is the smallest that fits, so large ones of the other type stay whole', () => {
    onHeap(16, (first) => {
      const held = Array.from({ length: 8 }, () => take(node, 0, L.MIGRATE_MOVABLE));
      // One frame here, and a block of eight there, both of the other type; too little for a claim.
      setTypeLocked(node, first as Pfn, L.MIGRATE_UNMOVABLE);
      give(node, { pfn: held[3], order: 0 });
      amongst(KIND_NEW, first, 16, () => {
        assert.equal(take(node, 0, L.MIGRATE_MOVABLE), held[3]);
        assert.equal(freeBlocks(node, 3), 1);
      });
      for (const pfn of held) give(node, { pfn, order: 0 });
      setTypeLocked(node, first as Pfn, L.MIGRATE_MOVABLE);
    });
  });

  it('a change of type moves the free blocks, and forgets what compaction noted', () => {
    onHeap(12, (first) => {
      const at = node.blocksAt + Math.floor(first / 512);
      node.words[at] |= 3 << L.BLOCK_SKIP_SHIFT;
      assert.equal(typeOf(node, first as Pfn), L.MIGRATE_MOVABLE);
      setTypeLocked(node, first as Pfn, L.MIGRATE_UNMOVABLE);
      assert.equal(node.words[at], L.MIGRATE_UNMOVABLE);
      assert.equal(node.words[listAt(L.MIGRATE_UNMOVABLE, 3)], first);
      assert.equal(node.words[listAt(L.MIGRATE_MOVABLE, 3)], 0);
      assert.equal(checkBuddy(node), 12);
      setTypeLocked(node, first as Pfn, L.MIGRATE_MOVABLE);
    });
  });

  it('gives out the front of a named block, or all of it', () => {
    onHeap(16, (first) => {
      takeFrontLocked(node, first as Pfn, 1);
      setKindLocked(node, first as Pfn, KIND_NEW, 1);
      assert.equal(checkBuddy(node), 14);
      assert.deepEqual(
        [1, 2, 3].map((order) => freeBlocks(node, order)),
        [1, 1, 1],
      );
      assert.equal(isolateBlockLocked(node, (first + 8) as Pfn), 3);
      setKindLocked(node, (first + 8) as Pfn, KIND_NEW, 3);
      assert.equal(checkBuddy(node), 6);
      assert.throws(() => isolateBlockLocked(node, first as Pfn), /a free block begins here/);
      give(node, { pfn: first as Pfn, order: 1 });
      give(node, { pfn: (first + 8) as Pfn, order: 3 });
    });
  });

  it('asserts on a block freed twice or outside the node', () => {
    onHeap(4, (first) => {
      assert.throws(() => giveBlockLocked(node, first as Pfn, 2), /block freed twice/);
      assert.throws(() => giveBlockLocked(node, node.frames as Pfn, 0), /inside the node/);
      assert.throws(() => giveBlockLocked(node, (node.firstFree - 1) as Pfn, 0), /inside the node/);
    });
  });

  it('any long sequence over the whole node keeps the lists whole', () => {
    const operations = fc.array(fc.tuple(fc.nat(ORDER_MAX), fc.nat(1), fc.nat(), fc.boolean()), {
      maxLength: 400,
      size: 'max',
    });
    fc.assert(
      fc.property(operations, (sequence) => {
        const held: Block[] = [];
        const claimed = new Uint8Array(node.frames);
        for (const [order, type, pick, wantsTake] of sequence) {
          if (wantsTake || held.length === 0) {
            const pfn = take(node, order, type);
            if (pfn === NO_PFN) continue;
            for (let i = 0; i < 1 << order; i++) {
              assert.equal(claimed[pfn + i], 0, 'frame given out once');
              claimed[pfn + i] = 1;
            }
            held.push({ pfn, order });
          } else {
            const [block] = held.splice(pick % held.length, 1);
            claimed.fill(0, block.pfn, block.pfn + (1 << block.order));
            give(node, block);
          }
        }
        const taken = held.reduce((sum, block) => sum + (1 << block.order), 0);
        assert.equal(checkBuddy(node), free - taken);
        for (const block of held) give(node, block);
        assert.equal(checkBuddy(node), free);
      }),
      { numRuns: 150 },
    );
  });
});

/** As if all other frames of the heap's pageblock were of this kind. */
function amongst(kind: number, first: number, frames: number, work: () => void): void {
  const start = Math.max(first - (first % 512), node.firstFree);
  const end = Math.min(first - (first % 512) + 512, node.frames);
  const before = node.words.slice(node.kindAt + start, node.kindAt + end);
  for (let pfn = start; pfn < end; pfn++) {
    if (pfn < first || pfn >= first + frames) setKindLocked(node, pfn as Pfn, kind);
  }
  work();
  for (let pfn = start; pfn < end; pfn++) {
    if (pfn < first || pfn >= first + frames) node.words[node.kindAt + pfn] = before[pfn - start];
  }
}

/** Depth first: from each state every take (order 0…4, both types) and every give that is possible. */
function explore(frames: number, first: number, held: readonly Block[], depth: number): void {
  const taken = held.reduce((sum, block) => sum + (1 << block.order), 0);
  assert.equal(checkBuddy(node), frames - taken);
  if (depth === 0) return;
  for (let order = 0; order <= 4; order++) {
    const pfn = take(node, order, L.MIGRATE_MOVABLE);
    if (pfn === NO_PFN) {
      assert.ok(!hasAlignedRun(frames, first, held, order), 'a fitting block was free');
      continue;
    }
    assert.equal(pfn % (1 << order), 0);
    assert.ok(
      held.every((block) => block.pfn + (1 << block.order) <= pfn || pfn + (1 << order) <= block.pfn),
      'blocks do not overlap',
    );
    explore(frames, first, [...held, { pfn, order }], depth - 1);
    give(node, { pfn, order });
  }
  for (const block of held) {
    give(node, block);
    explore(
      frames,
      first,
      held.filter((other) => other !== block),
      depth - 1,
    );
    // Back as it was: the same frames taken again, whatever the lists look like now.
    retake(block);
  }
}

/** Takes exactly this block from the lists again. */
function retake(wanted: Block): void {
  const others: Block[] = [];
  for (;;) {
    const pfn = take(node, wanted.order, L.MIGRATE_MOVABLE);
    assert.notEqual(pfn, NO_PFN, 'the block just given back can be had');
    if (pfn === wanted.pfn) break;
    others.push({ pfn, order: wanted.order });
  }
  for (const block of others) give(node, block);
}

function hasAlignedRun(frames: number, first: number, held: readonly Block[], order: number): boolean {
  for (let at = 0; at + (1 << order) <= frames; at += 1 << order) {
    const start = first + at;
    if (held.every((block) => block.pfn + (1 << block.order) <= start || start + (1 << order) <= block.pfn))
      return true;
  }
  return false;
}

function permutationOf(count: number, index: number): number[] {
  const left = Array.from({ length: count }, (_, i) => i);
  let rest = index;
  return Array.from({ length: count }, (_, i) => {
    const [picked] = left.splice(rest % (count - i), 1);
    rest = Math.floor(rest / (count - i));
    return picked;
  });
}
