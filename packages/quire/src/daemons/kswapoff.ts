/**
 * kswapoff: empties the tiers that are being taken out of use, a bounded step at a time (swap/drainer.ts). The state of a
 * tier is what it is told by, and how far it is on each node what it tells: V_DRAIN, H_POOL_DRAIN. The owner waits for
 * those (api/swap-tiers.ts), and does the steps itself where no daemon thread runs.
 */
import * as L from '../arena/layout.ts';
import { DRAIN_BUSY, DRAIN_DONE, DRAIN_MOVED, DRAIN_NEW, DRAIN_NO_ROOM, Drainer } from '../swap/drainer.ts';
import { DEVICE_DRAINING, deviceAt, deviceState } from '../swap/file-devices.ts';
import { POOL_DRAINING } from '../swap/tiers.ts';
import type { Memory } from '../vm/memory.ts';
import type { Daemon } from './daemon.ts';

const TURNS = 2;

export class Kswapoff implements Daemon {
  readonly name = 'kswapoff';
  private readonly memory: Memory;
  private readonly drainers: readonly Drainer[];
  /** Turns of the demoter's hand over each node since emptying its pool began. */
  private readonly turns: number[];

  constructor(memory: Memory) {
    const { device } = memory;
    this.memory = memory;
    this.turns = memory.nodes.map(() => 0);
    this.drainers = device === undefined ? [] : memory.nodes.map((node) => new Drainer(node, device));
  }

  step(): boolean {
    const home = this.memory.nodes[0].words;
    let isBusy = false;
    for (let device = 0; device < L.DEVICES_MAX; device++) {
      if (deviceState(home, device) === DEVICE_DRAINING && this.drainDevice(device)) isBusy = true;
    }
    if (Atomics.load(home, L.H_POOL_STATE) === POOL_DRAINING && this.drainPool()) isBusy = true;
    return isBusy;
  }

  private drainDevice(device: number): boolean {
    let isBusy = false;
    for (const drainer of this.drainers) {
      const outcome = drainer.step(device);
      if (outcome !== DRAIN_BUSY) Atomics.store(drainer.node.words, deviceAt(device) + L.V_DRAIN, outcome);
      if (outcome === DRAIN_MOVED) isBusy = true;
    }
    return isBusy;
  }

  /**
   * The pool of a node is empty; or, where pages keep coming in, it is small, and the demoter's hand has been everywhere
   * since: twice, because it passes what was just used.
   */
  private drainPool(): boolean {
    let isBusy = false;
    for (const [n, reclaimer] of this.memory.reclaimers.entries()) {
      const { words } = reclaimer.node;
      const before = Atomics.load(words, L.H_POOL_DRAIN);
      if (before === DRAIN_DONE) continue;
      if (before === DRAIN_NEW) this.turns[n] = 0;
      const hand = words[L.H_DEMOTE_HAND];
      const hasMoved = reclaimer.demote();
      if (words[L.H_DEMOTE_HAND] < hand) this.turns[n]++;
      const left = words[L.H_ZS_FRAMES] + words[L.H_RAW_FRAMES];
      const isDone = left === 0 || (this.turns[n] > TURNS && left <= words[L.H_POOL_FRAMES_MAX]);
      Atomics.store(words, L.H_POOL_DRAIN, isDone ? DRAIN_DONE : hasMoved ? DRAIN_MOVED : DRAIN_NO_ROOM);
      if (hasMoved) isBusy = true;
    }
    return isBusy;
  }
}
