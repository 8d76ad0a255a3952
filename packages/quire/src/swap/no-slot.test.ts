/** Reclaim when every slot is in use. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND_SHARED, kindOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { cloneRegion } from '../vm/clone.ts';

describe('no slot is left', () => {
  it('and what needs none still goes, however many pages that need one lie before it', () => {
    const instance = createTestInstance({ bytes: 32 * MIB, slots: 500 });
    const { node } = instance;
    const write = (space: typeof old, page: number): void =>
      space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
    const old = instance.space(32 * MIB, '', 'random');
    const shared = instance.space(4 * MIB, '', 'random');
    for (let page = 0; page < 6000; page++) write(old, page);
    for (let page = 0; page < 500; page++) write(shared, page);
    cloneRegion(instance.memory, shared.region, '', 'default');
    assert.equal(node.words[L.H_SLOTS_USED], 500);
    let written = 6000;
    while (node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_MIN]) write(old, written++);
    const sharedFrames = (): number =>
      Array.from({ length: node.frames }, (_, pfn) => kindOf(node, pfn as Pfn)).filter((kind) => kind === KIND_SHARED)
        .length;
    assert.equal(sharedFrames(), 500, 'nothing has had to go yet');
    for (let more = 0; more < 100; more++) write(old, written++);
    assert.ok(sharedFrames() < 400, `${sharedFrames()} shared frames in memory`);
    instance.finish();
  });
});
