/**
 * Tiers come and go while everything else runs: swapon and swapoff in their steps, of devices of the file tier and of the compressed
 * pool, cancelled now and then, and the trimmer.
 */
import * as L from '../arena/layout.ts';
import { MIB } from '../base/units.ts';
import { Kswapoff } from '../daemons/kswapoff.ts';
import { Ktrim } from '../daemons/ktrim.ts';
import { forgetDevice, isDrained, removeDevice, startDrain, stopDrain } from '../swap/drainer.ts';
import { addDevice, DEVICE_DRAINING, DEVICE_ON, deviceState } from '../swap/file-devices.ts';
import { endPoolDrain, isPoolDrained, startPool, startPoolDrain } from '../swap/pool-drain.ts';
import { canDrainPool, devicesInUse, POOL_DRAINING, POOL_OFF, POOL_ON } from '../swap/tiers.ts';
import type { LogicalThread } from './logical-thread.ts';
import type { Actor, World } from './world.ts';

export class SwapoffActor implements Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight = 2;
  readonly isLockFree = false;
  private readonly world: World;
  private readonly emptier: Kswapoff;
  private readonly trimmer: Ktrim;
  /** Frames that the pool of each node may take while it is on, as the shape has it. */
  private readonly shares: readonly number[];

  constructor(world: World, thread: LogicalThread) {
    this.world = world;
    this.thread = thread;
    this.name = `swapoff of ${thread.name}`;
    this.emptier = new Kswapoff(thread.memory);
    this.trimmer = new Ktrim(thread.memory);
    this.shares = thread.nodes.map(({ words }) => words[L.H_POOL_FRAMES_MAX]);
  }

  step(): number {
    const { random } = this.world;
    const home = this.thread.nodes[0].words;
    const devices = devicesInUse(home);
    const draining = devices.find((device) => deviceState(home, device) === DEVICE_DRAINING);
    if (draining !== undefined) return this.goOn(draining);
    if (random.chance(0.2)) return this.switchPool();
    if (random.chance(0.2) && devices.length < 4) {
      addDevice(this.thread.nodes, -1, random.between(2, 8) * MIB, random.below(3));
      return 60;
    }
    const device = random.pick(devices);
    if (device !== undefined && random.chance(0.1)) {
      if (deviceState(home, device) === DEVICE_ON) startDrain(this.thread.nodes, device);
      return 61;
    }
    return this.trimmer.step() ? 62 : 63;
  }

  private goOn(device: number): number {
    const { nodes } = this.thread;
    const home = nodes[0].words;
    if (this.world.random.chance(0.02)) {
      stopDrain(home, device);
      return 64;
    }
    if (isDrained(nodes, device) && deviceState(home, device) === DEVICE_DRAINING) {
      removeDevice(nodes, device);
      forgetDevice(home, device);
      this.world.device?.forget(device);
      return 65;
    }
    return this.emptier.step() ? 66 : 67;
  }

  private switchPool(): number {
    const { nodes } = this.thread;
    const state = nodes[0].words[L.H_POOL_STATE];
    if (state === POOL_DRAINING) return this.goOnWithPool();
    if (state === POOL_OFF && this.world.random.chance(0.3)) {
      startPool(nodes);
      this.restoreShares();
      return 70;
    }
    if (state === POOL_ON && canDrainPool(nodes)) {
      startPoolDrain(nodes);
      return 71;
    }
    return 72;
  }

  private goOnWithPool(): number {
    const { nodes } = this.thread;
    const isDone = isPoolDrained(nodes);
    if (isDone || this.world.random.chance(0.05)) {
      endPoolDrain(nodes, isDone);
      if (!isDone) this.restoreShares();
      return isDone ? 73 : 74;
    }
    return this.emptier.step() ? 75 : 76;
  }

  private restoreShares(): void {
    for (const [n, { words }] of this.thread.nodes.entries()) words[L.H_POOL_FRAMES_MAX] = this.shares[n];
  }

  /** The device that is being drained stays as it is: empty or not, all it holds is given back with the pages. */
  close(): void {
    const { words } = this.thread.nodes[0];
    for (const device of devicesInUse(words)) {
      if (words[L.DEVICES_AT + device * L.DEVICE_WORDS + L.V_CUTTER] !== 0) throw new Error('a cut that did not end');
    }
  }
}
