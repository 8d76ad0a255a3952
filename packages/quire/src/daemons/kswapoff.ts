/**
 * kswapoff: empties the tiers that are being taken out of use, a bounded step at a time (swap/drainer.ts,
 * swap/pool-drain.ts). The state of a
 * tier is what it is told by, and how far it is on each node what it tells: V_DRAIN, H_POOL_DRAIN. The owner waits for
 * those (api/swap-tiers.ts), and does the steps itself where no daemon thread runs.
 */
import * as L from '../arena/layout.ts';
import { DRAIN_BUSY, DRAIN_MOVED, Drainer } from '../swap/drainer.ts';
import { DEVICE_DRAINING, deviceAt, deviceState } from '../swap/file-devices.ts';
import { PoolDrainer } from '../swap/pool-drain.ts';
import { POOL_DRAINING } from '../swap/tiers.ts';
import type { Memory } from '../vm/memory.ts';
import type { Daemon } from './daemon.ts';

export class Kswapoff implements Daemon {
  readonly name = 'kswapoff';
  private readonly memory: Memory;
  private readonly drainers: readonly Drainer[];
  private readonly poolDrainers: readonly PoolDrainer[];

  constructor(memory: Memory) {
    const { device } = memory;
    this.memory = memory;
    this.poolDrainers = memory.reclaimers.map((reclaimer) => new PoolDrainer(reclaimer));
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

  private drainPool(): boolean {
    let isBusy = false;
    for (const drainer of this.poolDrainers) if (drainer.step()) isBusy = true;
    return isBusy;
  }
}
