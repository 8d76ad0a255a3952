/**
 * Segments that do not take writes. In this design a slot has no storage of its own that could go bad: pages move, slots stay.
 * What goes bad is a place in a file, and the smallest place that is given out is a segment of the log. After a write that
 * failed with EIO its segment is taken out of use, so that the same sector is not met again and again; that it was the
 * segment, and not the device, is known when a write goes well elsewhere:
 *
 *   STREAK = 0 ──EIO: segment BAD, noted──► 1 ──EIO──► … SUSPECTS_MAX ──EIO: those noted as before──► more: the device fails,
 *        ▲                                  │                │                                          no segment is blamed
 *        └──── a write goes well: those noted stay BAD ──────┴──────────────────────────────────────────────┘
 *
 * ENOSPC, a short write and the like say nothing about a segment. Objects in a BAD segment are read, freed and, when the
 * device is emptied, moved as those of any other. It is free again when the file was cut off before it, since other storage
 * comes there then (swap/file-trimmer.ts), and when the device is taken out of use.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { deviceAt, deviceOfSegment, placeInDevice } from './file-devices.ts';
import * as F from './file-segments.ts';

/** The segment did not take a batch, which is reserved there still. */
export function noteFailureLocked(node: Node, segment: number): void {
  const { words } = node;
  const device = deviceOfSegment(node, segment);
  const at = deviceAt(device);
  const streak = words[at + L.V_STREAK]++;
  if (streak === L.SUSPECTS_MAX) clearSuspects(node, at);
  if (streak >= L.SUSPECTS_MAX) return;
  if (words[at + L.V_OPEN_SEGMENT] === segment + 1) F.closeOpenLocked(node, device);
  words[at + L.V_SUSPECTS + streak] = segment + 1;
  words[at + L.V_BAD]++;
  F.setSegmentState(node, segment, F.SEGMENT_BAD);
}

/** It is the device: they are as good as before. */
function clearSuspects(node: Node, at: number): void {
  const { words } = node;
  for (let i = 0; i < L.SUSPECTS_MAX; i++) {
    const segment = words[at + L.V_SUSPECTS + i] - 1;
    if (segment >= 0) makeGood(node, at, segment);
  }
  words.fill(0, at + L.V_SUSPECTS, at + L.V_SUSPECTS + L.SUSPECTS_MAX);
}

function makeGood(node: Node, at: number, segment: number): void {
  node.words[at + L.V_BAD]--;
  F.setSegmentState(node, segment, F.SEGMENT_CLOSED);
}

/** Is there something to be learnt from a write to the device that goes well? Asked without the lock by the node's only writer. */
export function isSuspected(node: Node, device: number): boolean {
  return node.words[deviceAt(device) + L.V_STREAK] !== 0;
}

export function noteWritten(node: Node, device: number): void {
  const at = deviceAt(device);
  node.lock();
  node.words.fill(0, at + L.V_STREAK, at + L.V_SUSPECTS + L.SUSPECTS_MAX);
  node.unlock();
}

/** The file ends at row `limit` now: bad segments behind it are as good as any. */
export function freeBadBehind(node: Node, device: number, limit: number): void {
  const { words } = node;
  const at = deviceAt(device);
  if (words[at + L.V_BAD] === 0) return;
  node.lock();
  for (let segment = F.nextUsedSegment(node, -1); segment >= 0; segment = F.nextUsedSegment(node, segment)) {
    if (deviceOfSegment(node, segment) !== device || placeInDevice(node, segment) < limit) continue;
    if (F.segmentState(words[F.segmentAt(node, segment)]) !== F.SEGMENT_BAD) continue;
    const suspects = words.subarray(at + L.V_SUSPECTS, at + L.V_SUSPECTS + L.SUSPECTS_MAX);
    const suspect = suspects.indexOf(segment + 1);
    if (suspect >= 0) suspects[suspect] = 0;
    makeGood(node, at, segment);
  }
  node.unlock();
}
