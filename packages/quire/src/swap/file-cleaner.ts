/**
 * The cleaner of the file tier: empties the segment with the fewest live objects by copying those to the head of the
 * log (Rosenblum & Ousterhout 1991), in pieces of one staging buffer (swap/file-mover.ts). Runs as the node's demoter
 * (H_DEMOTE_BUSY). Reads the device, and waits for it: where no thread runs that may, the segment is fetched first.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import { DEVICE_ON, deviceAt, deviceOfSegment, deviceState, placeInDevice } from './file-devices.ts';
import { FileMover } from './file-mover.ts';
import * as F from './file-segments.ts';

/** A segment at least this full of live objects is not worth moving. */
const LIVE_SHARE_MAX = 0.9;
/** Segments looked at for a victim: enough for a good one, bounded work. */
const CANDIDATES = 1024;
/** Bad segments remembered: one must not keep the cleaner from all others. */
const AVOIDED_MAX = 64;
/** Below this share of live objects a file is given back in part, if it has at least so many segments in use (4 MiB). */
const SPARSE_SHARE = 0.5;
const SPARSE_SEGMENTS_MIN = 16;

/** Before a try that may find the cleaner wanting: what an earlier one wanted read is of no interest. */
export function forgetWantedSegment(node: Node): void {
  node.ahead.cleanWanted = -1;
}

export class FileCleaner {
  private readonly node: Node;
  private readonly mover: FileMover;
  private hand = -1;
  /**
   * Segments that could not be emptied (unreadable, or a damaged header hides an object), by number modulo the
   * length.
   */
  private readonly avoided = new Int32Array(AVOIDED_MAX).fill(-1);

  constructor(node: Node, device: Device) {
    this.node = node;
    this.mover = new FileMover(node, device, false);
  }

  /**
   * Empties one segment. False when there is none worth it, another thread is demoting, or the device failed; also, in an async
   * call, which must not wait for the device, before the segment was fetched (vm/no-wait.ts).
   */
  clean(): boolean {
    return this.cleanOne(() => this.pickFetchedLocked());
  }

  private pickFetchedLocked(): number {
    const { ahead } = this.node;
    const ready = ahead.cleanReady;
    ahead.cleanReady = -1;
    if (ready >= 0 && this.isCleanable(ready)) return ready;
    const segment = this.pickAgainLocked();
    if (!ahead.noWait) return segment;
    ahead.cleanWanted = segment;
    return -1;
  }

  /**
   * As `clean`, though there is room: for a device most of whose objects are dead, or whose segments in use are far apart.
   * Its last segment, so that the file can be cut off, or while there is no free one before that, the sparsest.
   */
  cleanSparse(device: number): boolean {
    const { node } = this;
    if (node.ahead.noWait) return false;
    node.lock();
    const last = this.isSparse(device) ? F.lastUsedSegment(node, device) : -1;
    const isMovable = last >= 0 && F.lowestFreeLocked(node, device) < last;
    // The log goes on at the front.
    const isOpen = isMovable && node.words[deviceAt(device) + L.V_OPEN_SEGMENT] === last + 1;
    if (isOpen) F.closeOpenLocked(node, device);
    node.unlock();
    if (isOpen || last < 0) return isOpen;
    return this.cleanOne(() => (isMovable && this.isCleanable(last) ? last : this.pickLocked()));
  }

  private isSparse(device: number): boolean {
    const { words } = this.node;
    const at = deviceAt(device);
    const used = this.node.home[at + L.V_SEGMENTS] - words[at + L.V_FREE];
    if (used >= SPARSE_SEGMENTS_MIN && words[at + L.V_LIVE] < words[at + L.V_WRITTEN] * SPARSE_SHARE) return true;
    const last = F.lastUsedSegment(this.node, device);
    return last >= 0 && placeInDevice(this.node, last) >= used / SPARSE_SHARE + SPARSE_SEGMENTS_MIN;
  }

  private isCleanable(segment: number): boolean {
    const word = this.node.words[F.segmentAt(this.node, segment)];
    if (F.segmentState(word) !== F.SEGMENT_CLOSED || this.avoided[segment % AVOIDED_MAX] === segment) return false;
    return deviceState(this.node.home, deviceOfSegment(this.node, segment)) === DEVICE_ON; // not being drained
  }

  private cleanOne(pickLocked: () => number): boolean {
    const { node } = this;
    node.lock();
    const segment = node.words[L.H_DEMOTE_BUSY] === 0 ? pickLocked() : -1;
    if (segment >= 0) node.words[L.H_DEMOTE_BUSY] = node.thread;
    node.unlock();
    if (segment < 0) return false;
    const done = this.cleanSegment(segment) && !this.hasLive(segment);
    if (!done) this.avoided[segment % AVOIDED_MAX] = segment;
    Atomics.store(node.words, L.H_DEMOTE_BUSY, 0);
    if (done) node.counters[C.file_segments_cleaned]++;
    return done;
  }

  /** Segments that could not be emptied get their next turn when there is no other. */
  private pickAgainLocked(): number {
    const segment = this.pickLocked();
    if (segment >= 0) return segment;
    this.avoided.fill(-1);
    return this.pickLocked();
  }

  private pickLocked(): number {
    const { node } = this;
    let best = -1;
    let bestShare = LIVE_SHARE_MAX;
    let isWrapped = false;
    for (let step = 0; step < CANDIDATES; step++) {
      this.hand = F.nextUsedSegment(node, this.hand);
      if (this.hand < 0) {
        if (isWrapped) break;
        isWrapped = true;
        continue;
      }
      if (!this.isCleanable(this.hand)) continue;
      const word = node.words[F.segmentAt(node, this.hand)];
      const share = F.segmentLive(word) / Math.max(1, F.segmentWritten(word));
      if (share < bestShare) {
        best = this.hand;
        bestShare = share;
      }
    }
    return best;
  }

  private cleanSegment(segment: number): boolean {
    let granule = segment * F.SEGMENT_GRANULES;
    const end = granule + F.SEGMENT_GRANULES;
    while (granule < end && this.hasLive(segment)) {
      granule = this.mover.movePiece(granule, end);
      if (granule < 0) return false;
    }
    return true;
  }

  private hasLive(segment: number): boolean {
    const word = this.node.words[F.segmentAt(this.node, segment)];
    return F.segmentState(word) === F.SEGMENT_CLOSED && F.segmentLive(word) > 0;
  }
}
