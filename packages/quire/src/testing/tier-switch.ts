/** Devices that come and go, a little at each step, in an order that depends on the number of steps alone. */
import type { Node } from '../arena/node.ts';
import { MIB } from '../base/units.ts';
import { Kswapoff } from '../daemons/kswapoff.ts';
import { Ktrim } from '../daemons/ktrim.ts';
import { forgetDevice, isDrained, removeDevice, startDrain, stopDrain } from '../swap/drainer.ts';
import { addDevice, DEVICE_DRAINING, deviceState } from '../swap/file-devices.ts';
import { devicesInUse } from '../swap/tiers.ts';
import type { TestThread } from './test-instance.ts';

const DEVICES = 3;

export class TierSwitch {
  private readonly nodes: readonly Node[];
  private readonly emptier: Kswapoff;
  private readonly trimmer: Ktrim;
  private steps = 0;

  constructor({ nodes, memory }: TestThread) {
    this.nodes = nodes;
    this.emptier = new Kswapoff(memory);
    this.trimmer = new Ktrim(memory);
  }

  step(): boolean {
    const turn = this.steps++;
    const home = this.nodes[0].words;
    const devices = devicesInUse(home);
    const draining = devices.find((device) => deviceState(home, device) === DEVICE_DRAINING);
    if (draining !== undefined) return this.goOn(draining, turn);
    if (devices.length < DEVICES && turn % 3 === 0) {
      addDevice(this.nodes, -1, (4 + (turn % 5)) * MIB * this.nodes.length, turn % 2);
      return true;
    }
    return devices.length > 1 ? startDrain(this.nodes, devices[turn % devices.length]) : this.trimmer.step();
  }

  private goOn(device: number, turn: number): boolean {
    const home = this.nodes[0].words;
    if (isDrained(this.nodes, device)) {
      removeDevice(this.nodes, device);
      forgetDevice(home, device);
    } else if (turn % 23 === 0) stopDrain(home, device);
    else return this.emptier.step();
    return true;
  }
}
