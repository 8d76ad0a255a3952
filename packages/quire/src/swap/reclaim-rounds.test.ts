/** Rounds of reclaim that only look: as many as the lists are long, however long that is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { openGroup, setGroupLimits } from '../vm/group-limit.ts';
import { reclaimDirect } from './direct-reclaim.ts';
import { reclaimGroup } from './group-reclaim.ts';
import { GROUP_GAINED, GROUP_LOOKED, GROUP_NOTHING, Reclaimer } from './reclaimer.ts';

/** What a node of 4 GiB takes whose pages are all touched. */
const LOOKS = 50_000;

describe('rounds that only look', () => {
  it('are not what ends reclaim at the limit of a group', () => {
    const { node, memory } = createTestInstance();
    const group = openGroup(memory, 'large');
    setGroupLimits(memory, group, 16, undefined);
    let rounds = 0;
    class Looking extends Reclaimer {
      override groupRound(): number {
        if (++rounds <= LOOKS) return GROUP_LOOKED;
        setGroupLimits(memory, group, 32, undefined);
        return GROUP_GAINED;
      }
    }
    assert.equal(reclaimGroup([new Looking(node, undefined)], group, 20), true);
    assert.equal(rounds, LOOKS + 1);
  });

  it('are not what ends direct reclaim', () => {
    const { node } = createTestInstance();
    const { words } = node;
    let rounds = 0;
    class Looking extends Reclaimer {
      override round(): boolean {
        this.hasOnlyLooked = ++rounds <= LOOKS;
        if (!this.hasOnlyLooked) words[L.H_FREE_FRAMES] = 1000;
        return true;
      }
    }
    words[L.H_FREE_FRAMES] = 0;
    assert.equal(reclaimDirect(new Looking(node, undefined), 1), true);
    assert.equal(rounds, LOOKS + 1);
  });

  it('are told from those that gained something, or found nothing', () => {
    const instance = createTestInstance();
    const space = instance.space(4 * MIB);
    const reclaimer = new Reclaimer(instance.node, undefined);
    for (let page = 0; page < 64; page++) space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
    const got = new Uint8Array(1);
    for (let page = 0; page < 64; page++) space.read(page * PAGE_BYTES, got, 0, 1);
    assert.deepEqual([reclaimer.round(false, true), reclaimer.hasOnlyLooked], [true, true], 'all were touched');
    assert.deepEqual([reclaimer.round(false, true), reclaimer.hasOnlyLooked], [true, false], 'none is any more');
    instance.closeSpace(space);
    assert.deepEqual([reclaimer.round(false, true), reclaimer.hasOnlyLooked], [false, false]);
    assert.equal(reclaimer.groupRound(0), GROUP_NOTHING);
    instance.finish();
  });
});
