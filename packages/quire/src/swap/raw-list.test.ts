import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KIND_RAW, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { MIB, NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { GFP_NOWAIT } from '../page-alloc/gfp.ts';
import { allocLocked } from '../page-alloc/page-allocator.ts';
import { demoteAll, evict, load, placeOf } from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { checkRawList, nextRaw, oldestRaw, rawAddLocked, rawMoveLocked, rawRemoveLocked } from './raw-list.ts';

describe('the list of raw pages', () => {
  it('keeps the order in which frames came, whichever go, move or come again', () => {
    const { node } = createTestInstance({ bytes: 8 * MIB });
    node.lock();
    const frames = Array.from({ length: 8 }, () => {
      const pfn = allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_NOWAIT, KIND_RAW);
      assert.notEqual(pfn, NO_PFN);
      return pfn;
    });
    const listed = (): Pfn[] => {
      const found: Pfn[] = [];
      for (let pfn = oldestRaw(node); pfn !== NO_PFN; pfn = nextRaw(node, pfn)) found.push(pfn);
      return found;
    };
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('toggle', 'move'), fc.nat(7), fc.nat(7))), (steps) => {
        let model: Pfn[] = [];
        for (const [what, a, b] of steps) {
          const [from, to] = [frames[a], frames[b]];
          if (what === 'move') {
            if (!model.includes(from) || model.includes(to)) continue;
            setKindLocked(node, to, KIND_RAW);
            rawMoveLocked(node, from, to);
            model = model.map((pfn) => (pfn === from ? to : pfn));
          } else if (model.includes(from)) {
            rawRemoveLocked(node, from);
            model = model.filter((pfn) => pfn !== from);
          } else {
            rawAddLocked(node, from);
            model.push(from);
          }
          checkRawList(node);
          assert.deepEqual(listed(), model);
        }
        for (const pfn of model) rawRemoveLocked(node, pfn);
        assert.equal(node.words[L.H_RAW_FRAMES], 0);
      }),
    );
    node.unlock();
  });

  it('is refused what is no raw page, or not on it', () => {
    const { node } = createTestInstance({ bytes: 8 * MIB });
    node.lock();
    const pfn = allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_NOWAIT, KIND_RAW);
    assert.throws(() => rawRemoveLocked(node, pfn), /raw frame is on the list/);
    rawAddLocked(node, pfn);
    node.words[L.H_RAW_FRAMES]++;
    assert.throws(() => checkRawList(node), /every raw frame is on the list/);
    node.unlock();
  });
});

describe('raw pages on their way to the file', () => {
  const noise = (page: number) => makePage(page, 'noise');

  it('lie there in the order in which they left memory; one that was read meanwhile comes last', () => {
    const loaded = load(undefined, 0);
    const { instance, space } = loaded;
    for (let page = 0; page < 300; page++) space.write(page * PAGE_BYTES, noise(page), 0, PAGE_BYTES);
    evict(instance);
    checkRawList(instance.node);
    const part = new Uint8Array(16);
    space.read(100 * PAGE_BYTES, part, 0, part.length);
    demoteAll(loaded);
    const places = Array.from({ length: 300 }, (_, page) => placeOf(loaded, page));
    const others = places.filter((_, page) => page !== 100);
    assert.deepEqual(
      others,
      [...others].sort((a, b) => a - b),
    );
    assert.ok(places[100] > Math.max(...others), 'a page that was read goes last');
    instance.finish();
  });

  it('leave no room in a segment that one more would fit in', () => {
    const loaded = load(undefined, 0);
    const { instance, space } = loaded;
    for (let page = 0; page < 300; page++) space.write(page * PAGE_BYTES, noise(page), 0, PAGE_BYTES);
    evict(instance);
    demoteAll(loaded);
    // 1,024 granules of a segment, 17 of a page: 60 pages.
    assert.equal(
      Math.max(...Array.from({ length: 300 }, (_, page) => placeOf(loaded, page))),
      4 * 262_144 + 59 * 17 * 256,
    );
    instance.finish();
  });
});
