/**
 * The cleaner of the file tier: empties the segment with the fewest live objects by copying those to the head of the
 * log (Rosenblum & Ousterhout 1991). Objects are found by walking the segment's headers; the slot in a header is
 * asked of the swap table whether it still lives there.
 *
 * Runs as the node's demoter (H_DEMOTE_BUSY), in pieces of one staging buffer. An object that does not read back
 * right makes its slot LOST: its readers get ERR_QUIRE_CORRUPT, nobody else notices.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import type { SlotIndex } from '../base/units.ts';
import { FILE_OBJECT_BYTES_MAX, granulesFor, isObject, objectLength, objectSlot } from './file-object.ts';
import * as F from './file-segments.ts';
import { writeBatch } from './file-writer.ts';
import * as W from './slot-word.ts';
import { attachStorageLocked, releaseStorageLocked } from './storage.ts';
import { peekSlot, setSlotWordLocked, slotWordLocked } from './swap-table.ts';

/** A segment at least this full of live objects is not worth moving. */
const LIVE_SHARE_MAX = 0.9;
/** Segments looked at for a victim: enough for a good one, bounded work. */
const CANDIDATES = 1024;
/** Bad segments remembered: one must not keep the cleaner from all others. */
const AVOIDED_MAX = 64;
const PIECE_GRANULES = Math.floor(L.AREA_STAGING_BYTES / F.FILE_GRANULE_BYTES);

export class FileCleaner {
  private readonly node: Node;
  private readonly device: Device;
  private hand = -1;
  /**
   * Segments that could not be emptied (unreadable, or a damaged header hides an object), by number modulo the
   * length.
   */
  private readonly avoided = new Int32Array(AVOIDED_MAX).fill(-1);
  private readonly slots = new Int32Array(PIECE_GRANULES);
  private readonly from = new Int32Array(PIECE_GRANULES);
  private readonly to = new Int32Array(PIECE_GRANULES);

  constructor(node: Node, device: Device) {
    this.node = node;
    this.device = device;
  }

  /** Empties one segment. False when there is none worth it, another thread is demoting, or the device failed. */
  clean(): boolean {
    const { node } = this;
    node.lock();
    const segment = node.words[L.H_DEMOTE_BUSY] === 0 ? this.pickAgainLocked() : -1;
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
      const word = node.words[F.segmentAt(node, this.hand)];
      if (F.segmentState(word) !== F.SEGMENT_CLOSED || this.avoided[this.hand % AVOIDED_MAX] === this.hand) continue;
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
      const next = this.cleanPiece(granule, Math.min(PIECE_GRANULES, end - granule));
      if (next < 0) return false;
      granule = next;
    }
    return true;
  }

  private hasLive(segment: number): boolean {
    const word = this.node.words[F.segmentAt(this.node, segment)];
    return F.segmentState(word) === F.SEGMENT_CLOSED && F.segmentLive(word) > 0;
  }

  /** Moves the live objects of one piece. Returns the granule to go on from, −1 on failure. */
  private cleanPiece(first: number, granules: number): number {
    const { node } = this;
    const bytes = granules * F.FILE_GRANULE_BYTES;
    node.takeStaging();
    try {
      const got = this.device.read(F.fileOffset(node, first), node.bytes, node.stagingByte, bytes);
      if (got < bytes) node.bytes.fill(0, node.stagingByte + got, node.stagingByte + bytes);
    } catch {
      node.counters[C.file_read_errors]++;
      return -1;
    }
    const last = first + granules === Math.ceil((first + 1) / F.SEGMENT_GRANULES) * F.SEGMENT_GRANULES;
    const { next, count, packed } = this.packLive(first, granules, last);
    if (count === 0) return next;
    return this.moveOut(count, packed) ? next : -1;
  }

  /** Walks the headers of a piece and moves live objects to the front of the staging buffer. */
  private packLive(first: number, granules: number, last: boolean): { next: number; count: number; packed: number } {
    const { node } = this;
    let count = 0;
    let packed = 0;
    let at = 0;
    while (at < granules) {
      const byte = node.stagingByte + at * F.FILE_GRANULE_BYTES;
      const available = (granules - at) * F.FILE_GRANULE_BYTES;
      if (!last && available < FILE_OBJECT_BYTES_MAX) break; // may be cut off: read again from here
      if (!isObject(node, byte, available)) {
        this.loseObjectsAt(first + at, byte);
        at++;
        continue;
      }
      const size = granulesFor(objectLength(node, byte));
      const slot = objectSlot(node, byte);
      if (this.isLive(slot, first + at)) {
        const target = (node.stagingByte + packed * F.FILE_GRANULE_BYTES) | 0;
        if (packed !== at) node.kernel.copy(target, byte | 0, size * F.FILE_GRANULE_BYTES);
        this.slots[count] = slot;
        this.from[count] = first + at;
        this.to[count] = packed;
        count++;
        packed += size;
      }
      at += size;
    }
    return { next: first + Math.max(at, 1), count, packed };
  }

  private isLive(slot: number, granule: number): boolean {
    const word = peekSlot(this.node, slot >>> 0) & ~W.SLOT_CACHED;
    return W.tagOf(word) === W.SLOT_FILE && W.payloadOf(word) === granule;
  }

  /**
   * Header bytes that are no object: garbage between objects, or a damaged object whose slot may still be read from
   * it.
   */
  private loseObjectsAt(granule: number, byte: number): void {
    const { node } = this;
    const slot = node.words[byte >>> 2];
    if (slot < 0 || slot >= L.SLOTS_MAX || !this.isLive(slot, granule)) return;
    node.lock();
    if (this.isLive(slot, granule)) {
      const word = slotWordLocked(node, slot as SlotIndex);
      const lost = W.isCached(word) ? W.SLOT_EMPTY : W.SLOT_LOST;
      setSlotWordLocked(node, slot as SlotIndex, W.slotWord(lost, W.LOST_CORRUPT) | (word & W.SLOT_CACHED));
      releaseStorageLocked(node, slot as SlotIndex, word);
      node.counters[C.file_corrupt]++;
    }
    node.unlock();
  }

  private moveOut(count: number, packed: number): boolean {
    const { node } = this;
    const target = writeBatch(node, this.device, packed, 0);
    if (target < 0) return false;
    node.lock();
    let live = 0;
    for (let i = 0; i < count; i++) if (this.repointLocked(i, target)) live++;
    F.commitLocked(node, target, live, count);
    node.unlock();
    return true;
  }

  private repointLocked(i: number, target: number): boolean {
    const { node } = this;
    const slot = this.slots[i] as SlotIndex;
    if (!this.isLive(slot, this.from[i])) return false;
    const word = slotWordLocked(node, slot);
    attachStorageLocked(node, slot, W.slotWord(W.SLOT_FILE, target + this.to[i]) | (word & W.SLOT_CACHED));
    releaseStorageLocked(node, slot, word);
    return true;
  }
}
