/**
 * The tiers of an instance taken together: how large the pool may be beside the files, what each holds, and whether the
 * rest could hold what one of them has. A tier is in one of three states for all to see: on, draining, off.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { PAGE_BYTES } from '../base/units.ts';
import {
  DEVICE_NONE,
  DEVICE_ON,
  DEVICE_RETIRED,
  deviceAt,
  deviceState,
  hasDevice,
  SEGMENT_BYTES,
} from './file-devices.ts';
import { SPARE_SEGMENTS } from './file-segments.ts';

export const POOL_OFF = 0;
export const POOL_ON = 1;
export const POOL_DRAINING = 2;

/**
 * Share of a node's frames that the pool may take. With a file behind it, it leaves room for a working set; alone it may
 * take nearly everything; when it is off, it is only a write buffer before the files, and nothing without them.
 */
const POOL_SHARE_ALONE = 1;
const POOL_SHARE_BEFORE_FILE = 0.8;
const POOL_SHARE_BUFFER = 0.05;

export function poolShare(isOn: boolean, hasFile: boolean): number {
  if (!hasFile) return isOn ? POOL_SHARE_ALONE : 0;
  return isOn ? POOL_SHARE_BEFORE_FILE : POOL_SHARE_BUFFER;
}

/** After a tier came or went: the pool's share, and whether slots may exist at all. */
export function setPoolShare(nodes: readonly Node[]): void {
  const home = nodes[0].words;
  const isOn = isPoolOn(home);
  const share = poolShare(isOn, hasDevice(home));
  const hasTier = isOn || hasDevice(home);
  for (const { words, frames, firstFree } of nodes) {
    Atomics.store(words, L.H_POOL_FRAMES_MAX, Math.floor((frames - firstFree) * share));
    // Once slots were handed out they stay.
    if (hasTier) Atomics.compareExchange(words, L.H_SLOTS_MAX, 0, L.SLOTS_MAX);
  }
}

/** Bytes of this node's segments on the device, and of these about how many belong to live objects. */
export function bytesOnDevice(node: Node, device: number): { used: number; live: number } {
  const { words, home } = node;
  const at = deviceAt(device);
  const used = (home[at + L.V_SEGMENTS] - words[at + L.V_FREE]) * SEGMENT_BYTES;
  const written = words[at + L.V_WRITTEN];
  // Objects differ in length; over a device the mean does.
  return { used, live: written === 0 ? 0 : Math.ceil((used * words[at + L.V_LIVE]) / written) };
}

/** Bytes that devices other than `device` can take, without what is kept for the cleaner. */
export function deviceRoom(node: Node, device: number): number {
  let segments = 0;
  for (let other = 0; other < L.DEVICES_MAX; other++) {
    if (other === device || deviceState(node.home, other) !== DEVICE_ON) continue;
    segments += Math.max(0, node.words[deviceAt(other) + L.V_FREE] - SPARE_SEGMENTS);
  }
  return segments * SEGMENT_BYTES;
}

/** Bytes that the pool may still take, once `withFile` says whether files are left: none when it is not on. */
export function poolRoom(node: Node, withFile: boolean): number {
  const { words } = node;
  if (!isPoolOn(node.home)) return 0;
  const share = Math.floor((node.frames - node.firstFree) * poolShare(true, withFile));
  return Math.max(0, share - words[L.H_ZS_FRAMES] - words[L.H_RAW_FRAMES]) * PAGE_BYTES;
}

/** Compressed bytes and raw pages of this node's pool. */
export function bytesInPool(node: Node): number {
  const { words } = node;
  const compressed = words[L.H_ZS_BYTES + 1] * 2 ** 32 + (words[L.H_ZS_BYTES] >>> 0);
  return compressed + words[L.H_RAW_FRAMES] * PAGE_BYTES;
}

/** Pages of this node's pool, those of units included. */
export function pagesInPool(node: Node): number {
  return node.words[L.H_ZS_OBJECTS] + node.words[L.H_RAW_FRAMES];
}

/** Is there another tier, and can every node put what it has on `device` elsewhere? */
export function canDrainDevice(nodes: readonly Node[], device: number): boolean {
  const others = countOthers(nodes[0].words, device);
  if (others === 0 && !isPoolOn(nodes[0].words)) return false;
  return nodes.every((node) => {
    if (node.words[deviceAt(device) + L.V_LIVE] === 0) return true;
    return bytesOnDevice(node, device).live <= deviceRoom(node, device) + poolRoom(node, others > 0);
  });
}

/** Can the files take all that is in the pool? Units grow when they are taken apart: a quarter and more. */
export function canDrainPool(nodes: readonly Node[]): boolean {
  return hasDevice(nodes[0].words) && nodes.every((node) => bytesInPool(node) * 1.3 <= deviceRoom(node, -1));
}

/** Neither off nor being emptied. */
export function isPoolOn(home: Int32Array): boolean {
  return Atomics.load(home, L.H_POOL_STATE) === POOL_ON;
}

function countOthers(home: Int32Array, device: number): number {
  let count = 0;
  for (let other = 0; other < L.DEVICES_MAX; other++) {
    if (other !== device && deviceState(home, other) === DEVICE_ON) count++;
  }
  return count;
}

/** Devices that are on or draining. */
export function devicesInUse(home: Int32Array): number[] {
  const found: number[] = [];
  for (let device = 0; device < L.DEVICES_MAX; device++) {
    const state = deviceState(home, device);
    if (state !== DEVICE_NONE && state !== DEVICE_RETIRED) found.push(device);
  }
  return found;
}

/** What a device is called: by when it was added, so that a name is never another's. */
export function tierName(home: Int32Array, device: number): string {
  return `file${home[deviceAt(device) + L.V_SERIAL]}`;
}
