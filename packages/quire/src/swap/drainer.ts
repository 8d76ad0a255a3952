/**
 * swapoff: what one node has on a device that is DRAINING moves to the other devices, or to the compressed pool when they
 * are full; no page table is looked at. In steps of one piece of a segment, each as the node's demoter, so that writers
 * go on in between and a thread that dies leaves nothing half done.
 *
 *   WALK    the segments of the device, by the headers of their objects
 *   SWEEP   only if something is left (a segment that cannot be read, a header that hides its object): the swap table,
 *           a chunk of 64 Ki slots a step; each object by itself, and what cannot be read is LOST
 *   DONE    nothing of this node is live on the device, and nothing can come: batches only go to devices that are ON
 *
 * No room is no end: pages may be freed meanwhile, or reclaim may make some. The owner decides how long to try
 * (api/swap-tiers.ts).
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { Device } from '../base/port.ts';
import type { Pfn, SlotIndex } from '../base/units.ts';
import { freeTableFrameLocked } from '../page-alloc/table-slab.ts';
import {
  CHUNK_SEGMENTS,
  DEVICE_DRAINING,
  DEVICE_NONE,
  DEVICE_ON,
  DEVICE_RETIRED,
  deviceAt,
  deviceOf,
  deviceOfSegment,
  deviceState,
} from './file-devices.ts';
import { FileMover, MOVE_NO_ROOM, MOVE_UNREADABLE } from './file-mover.ts';
import * as F from './file-segments.ts';
import * as W from './slot-word.ts';
import { peekSlot, slotAt } from './swap-table.ts';

export const DRAIN_MOVED = 0;
/** Another thread is the node's demoter at the moment. */
export const DRAIN_BUSY = 1;
export const DRAIN_NO_ROOM = 2;
export const DRAIN_DONE = 3;
/** Emptying has begun, and nobody has done anything yet. */
export const DRAIN_NEW = 4;

const SLOTS_PER_CHUNK_ROOT = L.SLOTS_MAX / L.CLUSTER_ROOTS;

export class Drainer {
  readonly node: Node;
  private readonly mover: FileMover;
  private device = -1;
  private drains = 0;
  /** Granule to go on from; behind the last segment: sweeping. */
  private granule = 0;
  private sweepChunk = 0;

  constructor(node: Node, device: Device) {
    this.node = node;
    this.mover = new FileMover(node, device, true);
  }

  /** Goes on emptying `device`. Returns a DRAIN_ code. */
  step(device: number): number {
    const { node } = this;
    if (device !== this.device || this.drains !== node.home[deviceAt(device) + L.V_DRAINS]) this.begin(device);
    node.lock();
    const isBusy = node.words[L.H_DEMOTE_BUSY] !== 0;
    if (!isBusy) {
      node.words[L.H_DEMOTE_BUSY] = node.thread;
      F.closeOpenLocked(node, device);
    }
    node.unlock();
    if (isBusy) return DRAIN_BUSY;
    this.mover.lost = 0;
    const outcome = this.moveSome(device);
    const at = deviceAt(device);
    Atomics.add(node.home, at + L.V_LOST, this.mover.lost);
    Atomics.store(node.words, L.H_DEMOTE_BUSY, 0);
    return outcome;
  }

  private begin(device: number): void {
    this.device = device;
    this.drains = this.node.home[deviceAt(device) + L.V_DRAINS];
    this.granule = 0;
    this.sweepChunk = 0;
  }

  private moveSome(device: number): number {
    const { words } = this.node;
    if (words[deviceAt(device) + L.V_LIVE] === 0) return DRAIN_DONE;
    const segment = this.segmentToMove(device);
    if (segment < 0) return this.sweep(device);
    const end = (segment + 1) * F.SEGMENT_GRANULES;
    const next = this.mover.movePiece(Math.max(this.granule, segment * F.SEGMENT_GRANULES), end);
    if (next === MOVE_NO_ROOM) return DRAIN_NO_ROOM;
    this.granule = next === MOVE_UNREADABLE ? end : next;
    return DRAIN_MOVED;
  }

  /** The segment with something live that the granule is in or comes before; −1 behind the last. */
  private segmentToMove(device: number): number {
    const { node } = this;
    let segment = Math.floor(this.granule / F.SEGMENT_GRANULES) - 1;
    do segment = F.nextUsedSegment(node, segment);
    while (
      segment >= 0 &&
      (deviceOfSegment(node, segment) !== device || F.segmentLive(node.words[F.segmentAt(node, segment)]) === 0)
    );
    if (segment < 0) this.granule = F.SEGMENTS_MAX * F.SEGMENT_GRANULES;
    return segment;
  }

  private sweep(device: number): number {
    const { node } = this;
    const chunk = this.sweepChunk;
    if (chunk === L.CLUSTER_ROOTS) {
      this.begin(device); // looked at without the lock: something may have been missed
      return DRAIN_MOVED;
    }
    if (node.words[L.CLUSTER_ROOTS_AT + chunk] !== 0 && !this.sweepSlots(device, chunk)) return DRAIN_NO_ROOM;
    this.sweepChunk++;
    return DRAIN_MOVED;
  }

  private sweepSlots(device: number, chunk: number): boolean {
    const { node } = this;
    const first = chunk * SLOTS_PER_CHUNK_ROOT;
    for (let cluster = first; cluster < first + SLOTS_PER_CHUNK_ROOT; cluster += L.CLUSTER_SLOTS) {
      if (slotAt(node, cluster) === 0) continue;
      for (let slot = cluster; slot < cluster + L.CLUSTER_SLOTS; slot++) {
        const word = peekSlot(node, slot) & ~W.SLOT_CACHED;
        if (W.tagOf(word) !== W.SLOT_FILE || deviceOf(node, W.payloadOf(word)) !== device) continue;
        if (!this.mover.moveOne(slot as SlotIndex, W.payloadOf(word))) return false;
      }
    }
    return true;
  }
}

/** From now on the device takes no batch. False when it was not ON. */
export function startDrain(nodes: readonly Node[], device: number): boolean {
  const home = nodes[0].words;
  const at = deviceAt(device);
  if (Atomics.compareExchange(home, at + L.V_STATE, DEVICE_ON, DEVICE_DRAINING) !== DEVICE_ON) return false;
  Atomics.store(home, at + L.V_LOST, 0);
  Atomics.add(home, at + L.V_DRAINS, 1);
  for (const node of nodes) Atomics.store(node.words, at + L.V_DRAIN, DRAIN_NEW);
  return true;
}

/** The device takes batches again. What was moved stays where it is. */
export function stopDrain(home: Int32Array, device: number): void {
  const was = Atomics.compareExchange(home, deviceAt(device) + L.V_STATE, DEVICE_DRAINING, DEVICE_ON);
  assert(was === DEVICE_DRAINING, 'only what is draining can stop', device, was);
}

/**
 * Nothing of any node is live on the device, no batch is on its way to it, and nobody is cutting its file off (who would cut
 * that of the next device in its place): that stays so while it is DRAINING.
 */
export function isDrained(nodes: readonly Node[], device: number): boolean {
  const at = deviceAt(device);
  if (Atomics.load(nodes[0].words, at + L.V_CUTTER) !== 0) return false;
  return nodes.every((node) => {
    node.lock();
    const batch = node.words[L.H_FILE_BATCH] - 1;
    const isEmpty = node.words[at + L.V_LIVE] === 0 && (batch < 0 || deviceOf(node, batch) !== device);
    node.unlock();
    return isEmpty;
  });
}

/**
 * The device is empty (`isDrained`): its numbers go back. Late readers with a granule of it find no device, or another's object; their
 * slot's sequence has moved. Its descriptor may still be in use, so its place in the table is not free yet: see
 * `forgetDevice`.
 */
export function removeDevice(nodes: readonly Node[], device: number): void {
  const home = nodes[0].words;
  assert(deviceState(home, device) === DEVICE_DRAINING, 'a device is drained before it goes', device);
  for (const node of nodes) {
    node.lock();
    takeChunksLocked(node, device);
    node.unlock();
  }
  Atomics.store(home, deviceAt(device) + L.V_STATE, DEVICE_RETIRED);
}

/** Nobody can be inside a system call on its descriptor: another file may have its place. */
export function forgetDevice(home: Int32Array, device: number): void {
  assert(deviceState(home, device) === DEVICE_RETIRED, 'a device is removed before it is forgotten', device);
  assert(Atomics.load(home, deviceAt(device) + L.V_FD) === 0, 'its descriptor went first', device);
  Atomics.store(home, deviceAt(device) + L.V_STATE, DEVICE_NONE);
}

function takeChunksLocked(node: Node, device: number): void {
  const { words } = node;
  const at = deviceAt(device);
  F.closeOpenLocked(node, device);
  const segments = node.home[at + L.V_SEGMENTS];
  assert(
    words[at + L.V_LIVE] === 0 && words[at + L.V_FREE] + words[at + L.V_BAD] === segments,
    'the device is empty',
    device,
  );
  for (let chunk = 0; chunk < L.FILE_CHUNKS; chunk++) {
    if (deviceOfSegment(node, chunk * CHUNK_SEGMENTS) !== device) continue;
    const root = words[L.FILE_SEGMENT_ROOTS_AT + chunk];
    words[L.FILE_CHUNK_FREE_AT + chunk] = 0;
    Atomics.store(words, L.FILE_CHUNK_OWNERS_AT + chunk, 0);
    Atomics.store(words, L.FILE_SEGMENT_ROOTS_AT + chunk, 0);
    if (root !== 0) freeTableFrameLocked(node, root as Pfn);
  }
  words.fill(0, at + L.V_NODE, at + L.DEVICE_WORDS);
  words[L.H_FILE_SEGMENTS] -= segments;
}
