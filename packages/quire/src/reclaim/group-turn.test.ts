/** Whose turn it is: the bitmap against a plain array, and the share that each group gets. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { FRAME_GROUP_SHIFT, KIND_REGION, LRU_ACTIVE, LRU_INACTIVE, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { MIB, type Pfn } from '../base/units.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import {
  endTurnLocked,
  groupsOnLists,
  NO_GROUP,
  nextGroupLocked,
  spendTurnLocked,
  turnLeft,
  turnOfLocked,
} from './group-turn.ts';
import { checkLru, lruAddLocked, lruBlockAt, lruRemoveLocked, lruSize } from './lru.ts';

/** Frames that only the lists look at. */
function createLists(): { node: Node; put(group: number, count: number): Pfn[] } {
  const { node } = createTestInstance({ bytes: 4 * MIB, areas: 1 });
  let next = node.frames;
  const put = (group: number, count: number): Pfn[] =>
    Array.from({ length: count }, () => {
      const pfn = --next as Pfn;
      setKindLocked(node, pfn, KIND_REGION);
      node.words[node.kindAt + pfn] |= group << FRAME_GROUP_SHIFT;
      lruAddLocked(node, pfn, LRU_INACTIVE);
      return pfn;
    });
  return { node, put };
}

describe('groups on the lists', () => {
  it('are those of a plain array, whichever come and go', () => {
    const { node, put } = createLists();
    const frames = Array.from({ length: L.GROUPS_MAX }, (_, group) => put(group, 1)[0]);
    const isOn = frames.map(() => true);
    fc.assert(
      fc.property(fc.array(fc.nat(L.GROUPS_MAX - 1), { maxLength: 60, size: 'max' }), fc.nat(200), (flips, from) => {
        for (const group of flips) {
          if (isOn[group]) lruRemoveLocked(node, frames[group]);
          else lruAddLocked(node, frames[group], group % 2 === 0 ? LRU_ACTIVE : LRU_INACTIVE);
          isOn[group] = !isOn[group];
        }
        checkLru(node);
        const order = isOn.map((_, i) => (from + i) % L.GROUPS_MAX);
        assert.equal(nextGroupLocked(node, from), order.find((group) => isOn[group]) ?? NO_GROUP);
        assert.equal(groupsOnLists(node), isOn.filter(Boolean).length);
      }),
      { numRuns: 300 },
    );
    for (const [group, on] of isOn.entries()) if (on) lruRemoveLocked(node, frames[group]);
    assert.equal(nextGroupLocked(node, 7), NO_GROUP);
    assert.equal(turnOfLocked(node), NO_GROUP);
  });

  it('a frame on the list of another group is found', () => {
    const { node, put } = createLists();
    const [pfn] = put(5, 3);
    checkLru(node);
    node.words[node.kindAt + pfn] ^= 1 << FRAME_GROUP_SHIFT;
    assert.throws(() => checkLru(node), /list of its group/);
  });
});

describe('turns', () => {
  it('give each group a share of the looks like its share of the pages', () => {
    const { node, put } = createLists();
    const sizes = new Map([
      [0, 400],
      [3, 100],
      [40, 50],
      [63, 10],
    ]);
    for (const [group, size] of sizes) put(group, size);
    const looks = new Map([...sizes.keys()].map((group) => [group, 0]));
    const total = 20_000;
    for (let done = 0; done < total; ) {
      const group = turnOfLocked(node);
      const step = Math.min(7, turnLeft(node));
      assert.ok(step > 0, 'a turn is good for a look');
      looks.set(group, (looks.get(group) ?? 0) + step);
      spendTurnLocked(node, step);
      done += step;
    }
    // A turn is size / 16 rounded down, and one.
    const turns = [...sizes.values()].map((size) => (size >>> 4) + 1);
    const sum = turns.reduce((a, b) => a + b);
    for (const [i, group] of [...sizes.keys()].entries()) {
      const share = (looks.get(group) ?? 0) / total;
      assert.ok(Math.abs(share - turns[i] / sum) < 0.01, `group ${group}: ${share} of the looks`);
    }
  });

  it('end early when a group has no more to give, or no page is left', () => {
    const { node, put } = createLists();
    put(1, 100);
    const [only] = put(2, 1);
    const first = turnOfLocked(node);
    assert.equal(turnOfLocked(node), first, 'until it is spent');
    endTurnLocked(node);
    const second = turnOfLocked(node);
    assert.notEqual(second, first);
    endTurnLocked(node);
    assert.equal(turnOfLocked(node), first);
    lruRemoveLocked(node, only);
    endTurnLocked(node);
    assert.equal(turnOfLocked(node), 1, 'a group without pages has no turn');
    assert.equal(lruSize(node, lruBlockAt(2), LRU_INACTIVE), 0);
    spendTurnLocked(node, 1e6);
    assert.equal(turnLeft(node), 0, 'never below nothing');
  });
});
