/**
 * kcompactd: makes large free blocks in the background, so that nobody has to wait for one.
 *
 *   sleeping ──wake word, a request found no block, or the stock is short──► making a block
 *   making ──block free, and enough of them──► sleeping
 *   waking ──too few free frames──► sleeping; kswapd is asked for room (H_WMARK_BOOST), the next request wakes again
 *   making ──nothing can be made──► put off (compaction/deferral.ts): the next requests are let go by, twice as many each time
 *
 * Under policy 'stocked' it works towards the targets of compaction/stock.ts; under the others it makes one block of the
 * largest order asked for, as the kernel's does. A step moves a few frames and holds the lock once.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { boostLocked, hasRoomLocked } from '../compaction/ask-kcompactd.ts';
import { COMPACT_LIGHT, Compactor } from '../compaction/compactor.ts';
import { deferLocked, deferResetLocked, isPutOff } from '../compaction/deferral.ts';
import { compactGap } from '../compaction/direct-compact.ts';
import { POLICY_STOCKED } from '../compaction/policy.ts';
import { shortOrder } from '../compaction/stock.ts';
import { hasFreeBlock } from '../page-alloc/buddy.ts';
import { drainCachesLocked, freeToBuddyLocked, wakeKswapd } from '../page-alloc/page-allocator.ts';
import type { Daemon } from './daemon.ts';

/** About a microsecond: long against a spin of the one who waits, short against a step. */
const GIVE_WAY_SPINS = 64;

export class Kcompactd implements Daemon {
  readonly name = 'kcompactd';
  private readonly node: Node;
  private run: Compactor | undefined;

  constructor(node: Node) {
    this.node = node;
  }

  step(): boolean {
    const { node } = this;
    if (this.run === undefined && Atomics.load(node.words, L.H_KCOMPACTD_WAKE) === 0) return false;
    this.giveWay();
    node.lock();
    const isBusy = this.run === undefined ? this.beginLocked() : this.goOnLocked(this.run);
    node.unlock();
    return isBusy;
  }

  /** Steps follow one another closely: whoever spins for the lock gets a moment in which it is free. */
  private giveWay(): void {
    for (let spin = 0; spin < GIVE_WAY_SPINS; spin++) Atomics.load(this.node.words, L.H_LOCK);
  }

  /** The daemon ends: what it had taken of a block is given back. */
  stop(): void {
    this.node.lock();
    this.run?.stopLocked();
    this.run = undefined;
    this.node.unlock();
  }

  private beginLocked(): boolean {
    const { node } = this;
    // Cleared before the look: a request after it sets the word again and counts an event.
    Atomics.store(node.words, L.H_KCOMPACTD_WAKE, 0);
    const asked = node.words[L.H_KCOMPACTD_ORDER];
    node.words[L.H_KCOMPACTD_ORDER] = 0;
    node.counters[C.compact_daemon_wake]++;
    const order = this.pickLocked(asked);
    if (order === 0) return this.restLocked();
    if (!hasRoomLocked(node, order)) return this.askForRoomLocked(order);
    drainCachesLocked(node);
    this.run = new Compactor(node, order, COMPACT_LIGHT, true);
    return true;
  }

  /** The order to make a block of, 0 when there is nothing to do. */
  private pickLocked(asked: number): number {
    const { node } = this;
    if (node.words[L.H_COMPACTION] === POLICY_STOCKED) return shortOrder(node);
    return asked === 0 || hasFreeBlock(node, asked) || isPutOff(node, asked) ? 0 : asked;
  }

  private goOnLocked(run: Compactor): boolean {
    const { node } = this;
    const step = run.stepLocked();
    if (step === 'more') return true;
    this.run = undefined;
    if (step === 'short') return this.askForRoomLocked(run.order);
    if (step === 'complete') deferLocked(node, run.order);
    else {
      freeToBuddyLocked(node, run.block);
      node.counters[C.compact_daemon_blocks]++;
      deferResetLocked(node, run.order, true);
    }
    if (node.words[L.H_COMPACTION] !== POLICY_STOCKED || shortOrder(node) === 0) return this.restLocked();
    Atomics.store(node.words, L.H_KCOMPACTD_WAKE, 1); // there is more to do: the next step looks
    return true;
  }

  private askForRoomLocked(order: number): boolean {
    boostLocked(this.node, compactGap(order));
    wakeKswapd(this.node);
    return false;
  }

  /** Nothing to do: kswapd need not keep more free than the stock itself. */
  private restLocked(): boolean {
    boostLocked(this.node, 0);
    return false;
  }
}
