/** What a thread remembers of a vain reclaim, and what makes it look at everything again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { DEFAULT_GROUP } from '../reclaim/group.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { setGroupLimits } from '../vm/group-limit.ts';
import { pinRange, unpinRange } from '../vm/pin-range.ts';
import { reclaimDirect } from './direct-reclaim.ts';
import { Reclaimer } from './reclaimer.ts';

class Counting extends Reclaimer {
  rounds = 0;

  override directRound(): number {
    this.rounds++;
    return super.directRound();
  }
}

/** 32 MiB of pages that find no slot. */
function createFull() {
  const instance = createTestInstance({ bytes: 32 * MIB, slots: 0 });
  const { node } = instance;
  const space = instance.space(32 * MIB, '', 'random');
  let pages = 0;
  while (node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_MIN]) {
    space.write(pages * PAGE_BYTES, makePage(pages), 0, PAGE_BYTES);
    pages++;
  }
  const reclaimer = new Counting(node, undefined);
  const call = (): { isDone: boolean; rounds: number } => {
    const { rounds } = reclaimer;
    const isDone = reclaimDirect(reclaimer, 1);
    return { isDone, rounds: reclaimer.rounds - rounds };
  };
  return { instance, node, space, pages, call };
}

describe('a memory that is full and stands still', () => {
  it('is looked at for a short time, and whole again after as many looks', () => {
    const { instance, pages, call } = createFull();
    const whole = call();
    assert.ok(!whole.isDone && whole.rounds > pages / 32, `${whole.rounds} rounds`);
    const calls = Math.ceil((6 * pages) / 4096);
    for (let i = 0; i < calls; i++) {
      const short = call();
      assert.ok(!short.isDone && short.rounds <= 2 * 65, `${short.rounds} rounds, call ${i}`);
    }
    assert.ok(call().rounds > pages / 32);
    instance.finish();
  });

  it('is looked at whole when anything has changed', () => {
    const { instance, node, space, pages, call } = createFull();
    call();
    assert.ok(call().rounds <= 2 * 65);
    node.words[L.H_SLOTS_MAX] = 256;
    assert.equal(call().isDone, true, 'there are slots');
    for (let page = pages; call().isDone; page++) space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
    assert.ok(call().rounds <= 2 * 65);
    space.discard(0, 4 * PAGE_BYTES);
    assert.equal(call().isDone, true, 'four frames');
    instance.finish();
  });

  it('is looked at whole when a pin was given back, or a limit changed', () => {
    const { instance, space, pages, call } = createFull();
    const held = [0, pages >> 1, pages - 1].map((page) => pinRange(instance.memory, space, page * PAGE_BYTES, 1));
    call();
    for (const each of held) {
      assert.ok(call().rounds <= 2 * 65);
      unpinRange(instance.memory, each);
      assert.ok(call().rounds > pages / 32);
    }
    setGroupLimits(instance.memory, DEFAULT_GROUP, undefined, Number.POSITIVE_INFINITY);
    assert.ok(call().rounds > pages / 32);
    instance.finish();
  });

  it('gives up what leaves no trace within the looks of a whole reclaim: pages unpinned', () => {
    const instance = createTestInstance({ bytes: 32 * MIB });
    const { node } = instance;
    const space = instance.space(32 * MIB, '', 'random');
    let pages = 0;
    const pinned: number[] = [];
    while (node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_MIN]) {
      space.write(pages * PAGE_BYTES, makePage(pages), 0, PAGE_BYTES);
      pages++;
    }
    for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
      if (node.words[node.pinAt + pfn] === 0 && node.words[node.ownerAt + pfn] !== 0) pinned.push(pfn);
    }
    for (const pfn of pinned) node.words[node.pinAt + pfn]++;
    const reclaimer = new Reclaimer(node, undefined);
    assert.equal(reclaimDirect(reclaimer, 1), false);
    for (const pfn of pinned) node.words[node.pinAt + pfn]--;
    assert.equal(reclaimDirect(reclaimer, 1), true, 'all of them: the first look finds one');
    instance.finish();
  });
});
