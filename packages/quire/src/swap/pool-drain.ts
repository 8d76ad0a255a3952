/**
 * swapoff of the compressed tier: what is in the pool goes to the files, and from then on pages only pass through it on
 * their way there. So "empty" does not last, and is not the end that is waited for:
 *
 *   owner    H_POOL_STATE ON → DRAINING; the pool's share falls to that of a write buffer
 *            per node, lock and unlock: a promotion or the emptying of a device that saw ON (swap/pool-store.ts looks under the
 *            lock) has stored its object now; those that come later find DRAINING and store none
 *            per node: H_POOL_DRAIN = NEW of the next serial
 *   daemon   word = H_POOL_DRAIN; a batch goes to the files; compare-exchange word → outcome, of the same serial
 *   owner    DONE of this serial everywhere → OFF; called off → ON
 *
 * DONE: the pool was empty; or it was as small as a write buffer, and the demoter's hand had been everywhere since, twice,
 * because it passes what was just used.
 *
 * H_POOL_DRAIN is outcome (3 bits) | serial << 3. The serial keeps the report of a daemon that slept through the end of one
 * drain from being taken for one about the next. All schedules are tried in swap/pool-drain.interleaving.test.ts.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { DRAIN_DONE, DRAIN_MOVED, DRAIN_NEW, DRAIN_NO_ROOM } from './drainer.ts';
import type { Reclaimer } from './reclaimer.ts';
import { POOL_DRAINING, POOL_OFF, POOL_ON, setPoolShare } from './tiers.ts';

const OUTCOME_BITS = 3;
const OUTCOME_MASK = (1 << OUTCOME_BITS) - 1;
const TURNS = 2;

function outcomeOf(word: number): number {
  return word & OUTCOME_MASK;
}

function serialOf(word: number): number {
  return word >>> OUTCOME_BITS;
}

/** The tier is in use again. False when it was not off. */
export function startPool(nodes: readonly Node[]): boolean {
  if (Atomics.compareExchange(nodes[0].words, L.H_POOL_STATE, POOL_OFF, POOL_ON) !== POOL_OFF) return false;
  setPoolShare(nodes);
  return true;
}

/** False when the tier was not on. */
export function startPoolDrain(nodes: readonly Node[]): boolean {
  const home = nodes[0].words;
  if (Atomics.compareExchange(home, L.H_POOL_STATE, POOL_ON, POOL_DRAINING) !== POOL_ON) return false;
  setPoolShare(nodes);
  for (const node of nodes) {
    node.lock();
    node.unlock();
    const serial = serialOf(Atomics.load(node.words, L.H_POOL_DRAIN)) + 1;
    Atomics.store(node.words, L.H_POOL_DRAIN, DRAIN_NEW | (serial << OUTCOME_BITS));
  }
  return true;
}

export function isPoolDrained(nodes: readonly Node[]): boolean {
  return nodes.every(({ words }) => outcomeOf(Atomics.load(words, L.H_POOL_DRAIN)) === DRAIN_DONE);
}

/** The files of some node took nothing when it was last tried. */
export function isPoolDrainStuck(nodes: readonly Node[]): boolean {
  return nodes.some(({ words }) => outcomeOf(Atomics.load(words, L.H_POOL_DRAIN)) === DRAIN_NO_ROOM);
}

/** The end of it: the tier is off, or on again. */
export function endPoolDrain(nodes: readonly Node[], isOff: boolean): void {
  const was = Atomics.exchange(nodes[0].words, L.H_POOL_STATE, isOff ? POOL_OFF : POOL_ON);
  assert(was === POOL_DRAINING, 'only what is draining can end', was);
  setPoolShare(nodes);
}

/** What a daemon does of it, on one node. */
export class PoolDrainer {
  private readonly reclaimer: Reclaimer;
  private serial = -1;
  /** Turns of the demoter's hand over the node since this drain began. */
  private turns = 0;

  constructor(reclaimer: Reclaimer) {
    this.reclaimer = reclaimer;
  }

  /** A batch. True when something went to the files. */
  step(): boolean {
    const { words } = this.reclaimer.node;
    const before = Atomics.load(words, L.H_POOL_DRAIN);
    if (outcomeOf(before) === DRAIN_DONE) return false;
    if (serialOf(before) !== this.serial) {
      this.serial = serialOf(before);
      this.turns = 0;
    }
    const hand = words[L.H_DEMOTE_HAND];
    const hasMoved = this.reclaimer.demote();
    if (words[L.H_DEMOTE_HAND] < hand) this.turns++;
    const left = words[L.H_ZS_FRAMES] + words[L.H_RAW_FRAMES];
    const isDone = left === 0 || (this.turns > TURNS && left <= words[L.H_POOL_FRAMES_MAX]);
    const outcome = isDone ? DRAIN_DONE : hasMoved ? DRAIN_MOVED : DRAIN_NO_ROOM;
    Atomics.compareExchange(words, L.H_POOL_DRAIN, before, outcome | (this.serial << OUTCOME_BITS));
    return hasMoved;
  }
}
