/** Devices of the file tier come and go while everything else runs: swapon, swapoff in its steps, cancelled now and then, and the trimmer. */
import * as L from '../arena/layout.ts';
import { MIB } from '../base/units.ts';
import { Kswapoff } from '../daemons/kswapoff.ts';
import { Ktrim } from '../daemons/ktrim.ts';
import { forgetDevice, isDrained, removeDevice, startDrain, stopDrain } from '../swap/drainer.ts';
import { addDevice, DEVICE_DRAINING, DEVICE_ON, deviceState } from '../swap/file-devices.ts';
import { devicesInUse } from '../swap/tiers.ts';
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

  constructor(world: World, thread: LogicalThread) {
    this.world = world;
    this.thread = thread;
    this.name = `swapoff of ${thread.name}`;
    this.emptier = new Kswapoff(thread.memory);
    this.trimmer = new Ktrim(thread.memory);
  }

  step(): number {
    const { random } = this.world;
    const home = this.thread.nodes[0].words;
    const devices = devicesInUse(home);
    const draining = devices.find((device) => deviceState(home, device) === DEVICE_DRAINING);
    if (draining !== undefined) return this.goOn(draining);
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

  /** The device that is being drained stays as it is: empty or not, all it holds is given back with the pages. */
  close(): void {
    const { words } = this.thread.nodes[0];
    for (const device of devicesInUse(words)) {
      if (words[L.DEVICES_AT + device * L.DEVICE_WORDS + L.V_CUTTER] !== 0) throw new Error('a cut that did not end');
    }
  }
}
