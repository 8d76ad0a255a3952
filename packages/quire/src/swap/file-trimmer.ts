/**
 * Space given back to the file system. Node cannot punch holes, so it is the end of a file that goes: free segments are
 * reused from the front (swap/file-segments.ts), and in a file that is mostly dead the objects of the last segments are
 * moved to the front. When the last rows of a file (a row: one segment of each node) are free on all nodes, the file is
 * cut off there:
 *
 *   1. CUTTER      by compare-and-exchange: one cut of a device at a time; the device is ON still, and stays in its place until 4
 *   2. locks       one after the other: all of the node's segments behind the limit are free → LIMIT: none may be opened
 *   3. –           ftruncate; ROWS = limit; bad segments behind it are free again: what comes there next is other storage
 *   4. locks       LIMIT = 0; CUTTER = 0
 *
 * A thread that dies in between leaves CUTTER behind, by which it is found (`endCuts`).
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import { freeBadBehind } from './bad-segments.ts';
import type { FileCleaner } from './file-cleaner.ts';
import { DEVICE_BYTES, DEVICE_ON, deviceAt, deviceState, placeInDevice, SEGMENT_BYTES } from './file-devices.ts';
import { lastUsedSegment } from './file-segments.ts';

/** Rows kept behind the last one in use, for the log to grow into while the file is cut off. */
const KEPT_ROWS = 8;
/** Rows that are worth a system call: 2 MiB and more. */
const CUT_ROWS_MIN = 8;

export class FileTrimmer {
  private readonly nodes: readonly Node[];
  private readonly home: Int32Array;
  private readonly device: Device;
  private readonly cleaners: readonly FileCleaner[];

  /** A cleaner for each node. */
  constructor(nodes: readonly Node[], device: Device, cleaners: readonly FileCleaner[]) {
    this.nodes = nodes;
    this.home = nodes[0].words;
    this.device = device;
    this.cleaners = cleaners;
  }

  /** True while there is more to do. */
  step(): boolean {
    if (this.device.cut === undefined) return false;
    // Cleared before the look: a segment that comes free after it sets the word again.
    if (Atomics.exchange(this.home, L.H_TRIM_WANTED, 0) === 0) return false;
    let isBusy = false;
    for (let device = 0; device < L.DEVICES_MAX; device++) {
      if (deviceState(this.home, device) !== DEVICE_ON) continue;
      for (const cleaner of this.cleaners) if (cleaner.cleanSparse(device)) isBusy = true;
      this.cutOff(device);
    }
    if (isBusy) Atomics.store(this.home, L.H_TRIM_WANTED, 1);
    return isBusy;
  }

  private cutOff(device: number): void {
    const at = deviceAt(device);
    const limit = this.rowsInUse(device) + KEPT_ROWS;
    if (Atomics.load(this.home, at + L.V_ROWS) - limit < CUT_ROWS_MIN) return;
    if (Atomics.compareExchange(this.home, at + L.V_CUTTER, 0, this.nodes[0].thread) !== 0) return;
    // Looked at after CUTTER is set: a device that is to go waits for it from then on (`isDrained`).
    const isOn = deviceState(this.home, device) === DEVICE_ON;
    if (isOn && this.nodes.every((node) => setLimit(node, device, limit))) this.cutAt(device, limit);
    for (const node of this.nodes) clearLimit(node, device);
    Atomics.store(this.home, at + L.V_CUTTER, 0);
  }

  private cutAt(device: number, limit: number): void {
    const rowsAt = deviceAt(device) + L.V_ROWS;
    const node = this.nodes[0];
    try {
      this.device.cut?.(device * DEVICE_BYTES + limit * this.nodes.length * SEGMENT_BYTES);
    } catch {
      node.counters[C.file_write_errors]++;
      return;
    }
    // Nobody raises it meanwhile: that takes a segment behind the limit.
    node.counters[C.file_segments_cut] += (Atomics.load(this.home, rowsAt) - limit) * this.nodes.length;
    Atomics.store(this.home, rowsAt, limit);
    for (const each of this.nodes) freeBadBehind(each, device, limit);
  }

  private rowsInUse(device: number): number {
    return this.nodes.reduce((most, node) => Math.max(most, rowsOf(node, device)), 0);
  }
}

function rowsOf(node: Node, device: number): number {
  const last = lastUsedSegment(node, device);
  return last < 0 ? 0 : placeInDevice(node, last) + 1;
}

/** False when the node has a segment in use behind the limit after all. */
function setLimit(node: Node, device: number, limit: number): boolean {
  node.lock();
  const isFree = rowsOf(node, device) <= limit;
  if (isFree) node.words[deviceAt(device) + L.V_LIMIT] = limit + 1;
  node.unlock();
  return isFree;
}

function clearLimit(node: Node, device: number): void {
  node.lock();
  node.words[deviceAt(device) + L.V_LIMIT] = 0;
  node.unlock();
}

/** A thread died: what it was cutting off is as it was, or a little shorter; segments can be opened again. */
export function endCuts(nodes: readonly Node[], dead: number): void {
  const home = nodes[0].words;
  for (let device = 0; device < L.DEVICES_MAX; device++) {
    const cutterAt = deviceAt(device) + L.V_CUTTER;
    if (Atomics.load(home, cutterAt) !== dead) continue;
    for (const node of nodes) clearLimit(node, device);
    Atomics.store(home, cutterAt, 0);
  }
}
