/** When reclaim ends: sweeps that look, sweeps in vain, and others' work, by rounds that are written down beforehand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { openGroup, setGroupLimits } from '../vm/group-limit.ts';
import { reclaimDirect } from './direct-reclaim.ts';
import { reclaimGroup } from './group-reclaim.ts';
import { type Quest, ROUND_GAINED, ROUND_LOOKED, ROUND_NOTHING, ROUND_TRIED, reclaimUntil } from './reclaim-loop.ts';
import { Reclaimer } from './reclaimer.ts';
import { Sweep } from './sweep.ts';

/** Looking rounds of a node of 4 GiB whose pages are all touched. */
const LOOKS = 50_000;

/** Rounds come to what `outcomeOf` says of their number. */
class Script implements Quest {
  readonly words = new Int32Array(new SharedArrayBuffer(1024));
  rounds = 0;
  fileWaits = 0;
  pauses = 0;
  roomAfter = Number.POSITIVE_INFINITY;
  private readonly outcomeOf: (round: number) => number;

  constructor(outcomeOf: (round: number) => number) {
    this.outcomeOf = outcomeOf;
  }

  round(): number {
    return this.outcomeOf(++this.rounds);
  }

  hasRoom(): boolean {
    return this.rounds >= this.roomAfter;
  }

  waitForFiles(_outcome: number): boolean {
    return false;
  }

  workOfOthers(): number {
    return 0;
  }
}

describe('the loop of reclaim', () => {
  it('goes on while rounds only look, however many those are', () => {
    const script = new Script(() => ROUND_LOOKED);
    script.roomAfter = LOOKS;
    assert.equal(reclaimUntil(script), true);
    assert.equal(script.rounds, LOOKS);
  });

  it('ends with the second sweep in vain, however long the sweeps are', () => {
    for (const length of [1, 10, LOOKS]) {
      const script = new Script((round) => (round % length === 0 ? ROUND_NOTHING : ROUND_LOOKED));
      assert.equal(reclaimUntil(script), false);
      assert.equal(script.rounds, 2 * length);
    }
  });

  it('begins anew with each gain, and has a bound for gains that make no room', () => {
    const gain = new Script((round) => (round % 2 === 0 ? ROUND_GAINED : ROUND_NOTHING));
    assert.equal(reclaimUntil(gain), false);
    assert.equal(gain.rounds, 2 * 4096);
    const last = new Script((round) => (round < 100 && round % 2 === 0 ? ROUND_GAINED : ROUND_NOTHING));
    assert.equal(reclaimUntil(last), false);
    assert.equal(last.rounds, 100);
  });

  it('has a bound for pages that are compressed in vain', () => {
    const script = new Script(() => ROUND_TRIED);
    assert.equal(reclaimUntil(script), false);
    assert.equal(script.rounds, 4096);
  });

  it('is not over while others are at work, but waits no longer than they may need', () => {
    class Busy extends Script {
      override workOfOthers(): number {
        this.pauses++;
        return 7;
      }
    }
    const stuck = new Busy(() => ROUND_NOTHING);
    assert.equal(reclaimUntil(stuck), false);
    assert.equal(stuck.rounds, 1, 'while nothing has changed no sweep finds more');
    assert.ok(stuck.pauses > 900 && stuck.pauses < 1100, `${stuck.pauses}`);
    class Changing extends Busy {
      override workOfOthers(): number {
        return ++this.pauses;
      }
    }
    const changing = new Changing(() => ROUND_NOTHING);
    changing.roomAfter = 300;
    assert.equal(reclaimUntil(changing), true);
    assert.equal(changing.rounds, 300);
  });

  it('takes long sweeps off the time it waits for others', () => {
    class Changing extends Script {
      override workOfOthers(): number {
        return ++this.pauses;
      }
    }
    const script = new Changing((round) => (round % LOOKS === 0 ? ROUND_NOTHING : ROUND_LOOKED));
    assert.equal(reclaimUntil(script), false);
    assert.ok(script.rounds <= 12 * LOOKS, `${script.rounds}`);
  });

  it('waits for files being written back, a thousand times', () => {
    class Written extends Script {
      override waitForFiles(): boolean {
        this.fileWaits++;
        return true;
      }
    }
    const script = new Written(() => ROUND_NOTHING);
    assert.equal(reclaimUntil(script), false);
    assert.deepEqual([script.fileWaits, script.rounds], [1000, 1002]);
  });
});

describe('a sweep', () => {
  it('is three looks a page of those that were there when it began', () => {
    const sweep = new Sweep();
    for (const pages of [1, 64, 100, 1_000_000]) {
      let left = pages;
      let looks = 64;
      while (sweep.goesOn(64, 0, left)) {
        looks += 64;
        assert.equal(sweep.hasLookedAtAll, looks > pages + 64);
        left = Math.max(1, left - 16); // turned raw: that is no end of the looks at the others
      }
      assert.ok(looks > 3 * pages && looks <= 3 * pages + 64, `${looks} of ${pages}`);
    }
    assert.equal(sweep.goesOn(0, 0, 100), false, 'nothing can be looked at');
  });

  it('remembers dirty pages until the next begins', () => {
    const sweep = new Sweep();
    assert.ok(sweep.goesOn(10, 1, 10));
    assert.ok(sweep.goesOn(10, 0, 10));
    assert.ok(!sweep.goesOn(20, 0, 10));
    assert.equal(sweep.isDirtyMet, true);
    assert.ok(sweep.goesOn(10, 0, 10));
    assert.equal(sweep.isDirtyMet, false);
  });
});

describe('rounds', () => {
  it('of a group only look for as long as its pages are many', () => {
    const { node, memory } = createTestInstance();
    const group = openGroup(memory, 'large');
    setGroupLimits(memory, group, 16, undefined);
    let rounds = 0;
    class Looking extends Reclaimer {
      override groupRound(): number {
        if (++rounds <= LOOKS) return ROUND_LOOKED;
        setGroupLimits(memory, group, 32, undefined);
        return ROUND_GAINED;
      }
    }
    assert.equal(reclaimGroup([new Looking(node, undefined)], group, 20), true);
    assert.equal(rounds, LOOKS + 1);
  });

  it('of a node, too', () => {
    const { node } = createTestInstance();
    const { words } = node;
    let rounds = 0;
    class Looking extends Reclaimer {
      override directRound(): number {
        if (++rounds <= LOOKS) return ROUND_LOOKED;
        words[L.H_FREE_FRAMES] = 1000;
        return ROUND_GAINED;
      }
    }
    words[L.H_FREE_FRAMES] = 0;
    assert.equal(reclaimDirect(new Looking(node, undefined), 1), true);
    assert.equal(rounds, LOOKS + 1);
  });

  it('say what they came to', () => {
    const instance = createTestInstance();
    const space = instance.space(4 * MIB);
    const reclaimer = new Reclaimer(instance.node, undefined);
    for (let page = 0; page < 64; page++) space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
    const got = new Uint8Array(1);
    for (let page = 0; page < 64; page++) space.read(page * PAGE_BYTES, got, 0, 1);
    assert.equal(reclaimer.directRound(), ROUND_LOOKED, 'all were touched');
    assert.equal(reclaimer.directRound(), ROUND_GAINED, 'none is any more');
    instance.closeSpace(space);
    assert.equal(reclaimer.directRound(), ROUND_NOTHING);
    assert.equal(reclaimer.groupRound(0), ROUND_NOTHING);
    instance.finish();
  });

  it('end a vain reclaim after six looks at each page', () => {
    const instance = createTestInstance({ bytes: 16 * MIB, slots: 0 });
    const { node } = instance;
    const space = instance.space(16 * MIB, '', 'random');
    let page = 0;
    while (node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_MIN]) {
      space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
      page++;
    }
    let rounds = 0;
    class Counting extends Reclaimer {
      override directRound(): number {
        rounds++;
        return super.directRound();
      }
    }
    assert.equal(reclaimDirect(new Counting(node, undefined), 1), false);
    assert.ok(rounds > (6 * page) / 100 && rounds < (6 * page) / 32, `${rounds} rounds for ${page} pages`);
    instance.finish();
  });
});
