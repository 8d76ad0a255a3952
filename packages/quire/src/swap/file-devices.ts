/**
 * The devices of the file tier: up to eight files with a priority each, in a table that all threads share, so that one
 * added or removed while the instance runs needs no message.
 *
 *   NONE ──addDevice──► ON ──startDrain──► DRAINING ──removeDevice──► RETIRED ──forgetDevice──► NONE
 *                        ▲                     │
 *                        └─────stopDrain───────┘                      (swap/drainer.ts)
 *
 * Numbers. Segments of a node are numbered 0 … 2^18 − 1 whatever file they lie in, so that a granule (28 bits, in a
 * slot's word) names its device. They are dealt in chunks of 1,024 segments, 256 MiB: a word of FILE_CHUNK_OWNERS says
 * who has the chunk and which of the device's it is,
 *
 *   owner word   device + 1 (4 bits) | place of the chunk in the device << 4
 *
 * and a device has its chunks in rising order. So `fileOffset` is one load, and removing a device leaves no gap that
 * another cannot use.
 *
 * Places. Offsets are those of one address space for all files: device · 2^44 + byte of its file. In a file the nodes
 * take turns, segment by segment: each fills from the front, so the end of the file comes free when all are nearly empty.
 *
 * Priorities as of swapon(8): the highest first, equal ones in turn, batch by batch; a device that is full, or whose last
 * write failed, is passed over.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';

export const FILE_GRANULE_BYTES = 256;
export const SEGMENT_BYTES = 256 * 1024;
export const SEGMENT_GRANULES = SEGMENT_BYTES / FILE_GRANULE_BYTES;
export const CHUNK_SEGMENTS = 1024;
/** 2^28 granules: what fits a slot word. */
export const SEGMENTS_MAX = 2 ** 28 / SEGMENT_GRANULES;
const CHUNK_GRANULES_SHIFT = 20;
/** Bytes of the address space that a device has: more than a file can use, few enough that all offsets are exact. */
export const DEVICE_BYTES = 2 ** 44;
export const NO_DEVICE = -1;

export const DEVICE_NONE = 0;
export const DEVICE_ON = 1;
export const DEVICE_DRAINING = 2;
/** Empty and without segments; its descriptor may be in use still. */
export const DEVICE_RETIRED = 3;

/** Batches that go elsewhere after a failed write. */
const HOLD_BATCHES = 64;

const OWNER_DEVICE_MASK = 0xf;
const OWNER_PLACE_SHIFT = 4;

assert(L.FILE_CHUNKS * CHUNK_SEGMENTS === SEGMENTS_MAX, 'chunks of segments');
assert(CHUNK_SEGMENTS * SEGMENT_GRANULES === 1 << CHUNK_GRANULES_SHIFT, 'granules of a chunk');

export function deviceAt(device: number): number {
  return L.DEVICES_AT + device * L.DEVICE_WORDS;
}

export function deviceState(home: Int32Array, device: number): number {
  return Atomics.load(home, deviceAt(device) + L.V_STATE);
}

/** Device that has this granule, NO_DEVICE when none has it any more. One load. */
export function deviceOf(node: Node, granule: number): number {
  return (node.words[L.FILE_CHUNK_OWNERS_AT + (granule >>> CHUNK_GRANULES_SHIFT)] & OWNER_DEVICE_MASK) - 1;
}

export function deviceOfSegment(node: Node, segment: number): number {
  return (node.words[L.FILE_CHUNK_OWNERS_AT + (segment >>> 10)] & OWNER_DEVICE_MASK) - 1;
}

/** Number of a segment within its device, from 0. */
export function placeInDevice(node: Node, segment: number): number {
  const owner = node.words[L.FILE_CHUNK_OWNERS_AT + (segment >>> 10)];
  return (owner >>> OWNER_PLACE_SHIFT) * CHUNK_SEGMENTS + (segment & (CHUNK_SEGMENTS - 1));
}

/**
 * Offset of a granule of this node in the address space of all devices: `offset % DEVICE_BYTES` in the file of device
 * `floor(offset / DEVICE_BYTES)`. A granule that no device has (a reader that comes late) lies behind all of them.
 */
export function fileOffset(node: Node, granule: number): number {
  const owner = node.words[L.FILE_CHUNK_OWNERS_AT + (granule >>> CHUNK_GRANULES_SHIFT)];
  if (owner === 0) return L.DEVICES_MAX * DEVICE_BYTES;
  const device = (owner & OWNER_DEVICE_MASK) - 1;
  const inChunk = (granule >>> 10) & (CHUNK_SEGMENTS - 1);
  const segment = ((owner >>> OWNER_PLACE_SHIFT) * CHUNK_SEGMENTS + inChunk) * node.nodes + node.index;
  return device * DEVICE_BYTES + segment * SEGMENT_BYTES + (granule & (SEGMENT_GRANULES - 1)) * FILE_GRANULE_BYTES;
}

/** Node whose segment lies at this offset. */
export function nodeOfOffset(offset: number, nodes: number): number {
  return Math.floor((offset % DEVICE_BYTES) / SEGMENT_BYTES) % nodes;
}

/**
 * Takes a file of `bytes` into use. Returns its number, or NO_DEVICE when there are eight already or the numbers of
 * segments are used up; fewer numbers than asked for make it smaller. One thread at a time: the owner's.
 */
export function addDevice(nodes: readonly Node[], descriptor: number, bytes: number, priority: number): number {
  const home = nodes[0].words;
  const device = findState(home, DEVICE_NONE);
  if (device === NO_DEVICE) return NO_DEVICE;
  const wanted = Math.min(Math.floor(bytes / SEGMENT_BYTES / nodes.length), SEGMENTS_MAX);
  const segments = nodes.reduce((least, node) => Math.min(least, countUnowned(node) * CHUNK_SEGMENTS), wanted);
  if (segments === 0) return NO_DEVICE;
  for (const node of nodes) {
    node.lock();
    dealChunksLocked(node, device, segments);
    node.unlock();
  }
  const at = deviceAt(device);
  home[at + L.V_PRIORITY] = priority;
  home[at + L.V_SEGMENTS] = segments;
  home[at + L.V_ROWS] = 0;
  home.fill(0, at + L.V_READ_ERRORS, at + L.V_ERRNO + 1);
  home[at + L.V_SERIAL] = ++home[L.H_DEVICES_ADDED];
  Atomics.store(home, at + L.V_FD, descriptor + 1);
  // Last: who finds it ON finds the rest (pairs with `deviceState`).
  Atomics.store(home, at + L.V_STATE, DEVICE_ON);
  return device;
}

/** Most bytes that one more device can have, over all nodes: what the numbers of segments that are left can name. */
export function bytesForDevice(nodes: readonly Node[]): number {
  const chunks = nodes.reduce((least, node) => Math.min(least, countUnowned(node)), L.FILE_CHUNKS);
  return chunks * CHUNK_SEGMENTS * SEGMENT_BYTES * nodes.length;
}

function dealChunksLocked(node: Node, device: number, segments: number): void {
  const { words } = node;
  let left = segments;
  for (let chunk = 0, place = 0; left > 0; chunk++) {
    assert(chunk < L.FILE_CHUNKS, 'chunks enough', device, segments);
    if (words[L.FILE_CHUNK_OWNERS_AT + chunk] !== 0) continue;
    words[L.FILE_CHUNK_FREE_AT + chunk] = Math.min(left, CHUNK_SEGMENTS);
    Atomics.store(words, L.FILE_CHUNK_OWNERS_AT + chunk, (device + 1) | (place++ << OWNER_PLACE_SHIFT));
    left -= Math.min(left, CHUNK_SEGMENTS);
  }
  const at = deviceAt(device);
  words.fill(0, at + L.V_NODE, at + L.DEVICE_WORDS);
  words[at + L.V_FREE] = segments;
  words[L.H_FILE_SEGMENTS] += segments;
}

function countUnowned(node: Node): number {
  let count = 0;
  for (let chunk = 0; chunk < L.FILE_CHUNKS; chunk++) if (node.words[L.FILE_CHUNK_OWNERS_AT + chunk] === 0) count++;
  return count;
}

function findState(home: Int32Array, state: number): number {
  for (let device = 0; device < L.DEVICES_MAX; device++) if (deviceState(home, device) === state) return device;
  return NO_DEVICE;
}

/** Some device takes batches. */
export function hasDevice(home: Int32Array): boolean {
  return findState(home, DEVICE_ON) !== NO_DEVICE;
}

/**
 * The device to try next, but for those whose bit is set in `tried`: of the highest priority, the one whose turn it is.
 * Those on hold come last. NO_DEVICE when all were tried.
 */
export function nextDeviceLocked(node: Node, tried: number): number {
  const { words, home } = node;
  let best = NO_DEVICE;
  let bestRank = Number.NEGATIVE_INFINITY;
  for (let step = 0; step < L.DEVICES_MAX; step++) {
    const device = (words[L.H_FILE_TURN] + step) % L.DEVICES_MAX;
    if ((tried & (1 << device)) !== 0 || deviceState(home, device) !== DEVICE_ON) continue;
    const at = deviceAt(device);
    const rank = home[at + L.V_PRIORITY] - (words[at + L.V_HOLD] > 0 ? HELD_RANK : 0);
    if (rank > bestRank) {
      best = device;
      bestRank = rank;
    }
  }
  return best;
}

/** Priorities lie between −32,768 and 32,767. */
const HELD_RANK = 2 ** 17;

/** The device has taken a batch. */
export function tookBatchLocked(node: Node, device: number): void {
  const { words } = node;
  words[L.H_FILE_TURN] = (device + 1) % L.DEVICES_MAX;
  // One on hold is only asked when no other has room: it is counted down by its own batches too.
  for (let other = 0; other < L.DEVICES_MAX; other++) {
    const at = deviceAt(other) + L.V_HOLD;
    if (words[at] > 0) words[at]--;
  }
}

/** A write to the device failed: others go first for a while. */
export function holdDeviceLocked(node: Node, device: number): void {
  node.words[deviceAt(device) + L.V_HOLD] = HOLD_BATCHES;
}
