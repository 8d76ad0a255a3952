/**
 * Live objects of the log, moved: what cleaning a segment and draining a device have in common. Objects are found by
 * walking the segment's headers; the slot in a header is asked of the swap table whether it still lives there.
 *
 *   1. –       read a piece, as much as the staging buffer holds; live objects to the front of it
 *   2. –       write them to the head of the log (swap/file-writer.ts)
 *   3. lock    a slot that still names the old place names the new one
 *
 * The caller is the node's demoter (H_DEMOTE_BUSY). An object that does not read back right makes its slot LOST: its
 * readers get ERR_QUIRE_CORRUPT or ERR_QUIRE_IO, nobody else notices.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import { PAGE_BYTES, type SlotIndex } from '../base/units.ts';
import { GFP_NOWAIT } from '../page-alloc/gfp.ts';
import { wakeKswapd } from '../page-alloc/page-allocator.ts';
import { noteReadError } from './device-errors.ts';
import {
  FILE_OBJECT_BYTES_MAX,
  granulesFor,
  isObject,
  isObjectOf,
  objectLength,
  objectSlot,
  storedBytes,
} from './file-object.ts';
import * as F from './file-segments.ts';
import { writeBatch } from './file-writer.ts';
import { hasPoolRoom, isPoolBelowShare, storeInPoolLocked } from './pool-store.ts';
import * as W from './slot-word.ts';
import { attachStorageLocked, releaseStorageLocked } from './storage.ts';
import { peekSlot, setSlotWordLocked, slotWordLocked } from './swap-table.ts';

/** Granules read at once. */
export const PIECE_GRANULES = Math.floor(L.AREA_STAGING_BYTES / F.FILE_GRANULE_BYTES);

/** Codes below a granule. */
export const MOVE_UNREADABLE = -1;
/** Neither a device nor the pool takes them. */
export const MOVE_NO_ROOM = -2;

export class FileMover {
  private readonly node: Node;
  private readonly device: Device;
  /** Draining: clean copies are dropped, and what no device takes goes to the pool. */
  private readonly drains: boolean;
  private readonly slots = new Int32Array(PIECE_GRANULES);
  private readonly from = new Int32Array(PIECE_GRANULES);
  private readonly to = new Int32Array(PIECE_GRANULES);
  private readonly suspectSlots = new Int32Array(PIECE_GRANULES);
  private readonly suspectGranules = new Int32Array(PIECE_GRANULES);
  private suspects = 0;
  private count = 0;
  private packed = 0;
  /** Objects lost since it was last set to 0. */
  lost = 0;

  constructor(node: Node, device: Device, drains: boolean) {
    this.node = node;
    this.device = device;
    this.drains = drains;
  }

  /** Moves the live objects of a piece of one segment. Returns the granule to go on from, or a MOVE_ code. */
  movePiece(first: number, end: number): number {
    const granules = Math.min(PIECE_GRANULES, end - first);
    if (!this.read(first, granules)) return MOVE_UNREADABLE;
    const next = this.packLive(first, granules, first + granules === end);
    if (!this.moveOut()) return MOVE_NO_ROOM;
    for (let i = 0; i < this.suspects; i++) {
      if (!this.moveOne(this.suspectSlots[i] as SlotIndex, this.suspectGranules[i])) return MOVE_NO_ROOM;
    }
    return next;
  }

  /**
   * Moves the one object that `slot` has at `granule`, or loses it; one that the device refuses to read is lost only in
   * draining. False when there is no room.
   */
  moveOne(slot: SlotIndex, granule: number): boolean {
    const { node } = this;
    const isRead = this.read(granule, granulesFor(PAGE_BYTES)) || this.readExactly(slot, granule);
    if (!isRead || !isObjectOf(node, node.stagingByte, slot, FILE_OBJECT_BYTES_MAX)) {
      if (isRead || this.drains) this.lose(slot, granule, isRead ? W.LOST_CORRUPT : W.LOST_IO);
      return true;
    }
    this.count = 0;
    this.packed = 0;
    this.pack(slot, granule, node.stagingByte);
    return this.moveOut();
  }

  /** Into the staging buffer; what lies behind the end of the file is zeros. */
  private read(first: number, granules: number): boolean {
    const { node } = this;
    const bytes = granules * F.FILE_GRANULE_BYTES;
    node.takeStaging();
    try {
      const got = this.device.read(F.fileOffset(node, first), node.bytes, node.stagingByte, bytes);
      if (got < bytes) node.bytes.fill(0, node.stagingByte + got, node.stagingByte + bytes);
      return true;
    } catch {
      noteReadError(node, first);
      return false;
    }
  }

  /** The slot's object and nothing behind it, which may be what cannot be read: as its readers do (vm/file-read.ts). */
  private readExactly(slot: SlotIndex, granule: number): boolean {
    if (!this.read(granule, 1)) return false;
    const bytes = storedBytes(this.node.words, this.node.stagingByte >>> 2, slot);
    return bytes > 0 && this.read(granule, Math.ceil(bytes / F.FILE_GRANULE_BYTES));
  }

  /** Walks the headers of a piece and moves live objects to the front of the staging buffer. */
  private packLive(first: number, granules: number, last: boolean): number {
    const { node } = this;
    this.count = 0;
    this.packed = 0;
    this.suspects = 0;
    let at = 0;
    while (at < granules) {
      const byte = node.stagingByte + at * F.FILE_GRANULE_BYTES;
      const available = (granules - at) * F.FILE_GRANULE_BYTES;
      if (!last && available < FILE_OBJECT_BYTES_MAX) break; // may be cut off: read again from here
      if (!isObject(node, byte, available)) {
        this.suspect(first + at, byte);
        at++;
        continue;
      }
      const size = granulesFor(objectLength(node, byte));
      const slot = objectSlot(node, byte);
      if (this.isLive(slot, first + at)) this.pack(slot, first + at, byte);
      at += size;
    }
    return first + Math.max(at, 1);
  }

  private pack(slot: SlotIndex, granule: number, byte: number): void {
    const { node, packed, count } = this;
    if (this.drains && W.isCached(peekSlot(node, slot)) && this.dropCopy(slot, granule)) return;
    const size = granulesFor(objectLength(node, byte));
    const target = node.stagingByte + packed * F.FILE_GRANULE_BYTES;
    if (target !== byte) node.kernel.copy(target | 0, byte | 0, size * F.FILE_GRANULE_BYTES);
    this.slots[count] = slot;
    this.from[count] = granule;
    this.to[count] = packed;
    this.count++;
    this.packed += size;
  }

  private isLive(slot: number, granule: number): boolean {
    const word = peekSlot(this.node, slot >>> 0) & ~W.SLOT_CACHED;
    return W.tagOf(word) === W.SLOT_FILE && W.payloadOf(word) === granule;
  }

  /** The page is in memory: its copy need not be kept. False when it is not, after all. */
  private dropCopy(slot: SlotIndex, granule: number): boolean {
    const { node } = this;
    node.lock();
    const word = this.isLive(slot, granule) ? slotWordLocked(node, slot) : 0;
    const isCached = W.isCached(word);
    if (isCached) {
      setSlotWordLocked(node, slot, W.slotWord(W.SLOT_EMPTY, 0) | W.SLOT_CACHED);
      releaseStorageLocked(node, slot, word);
    }
    node.unlock();
    return isCached;
  }

  /**
   * Header bytes that are no object: garbage between objects, or a damaged object whose slot may still be read from
   * it. That one is read again, by itself, before it is given up.
   */
  private suspect(granule: number, byte: number): void {
    const slot = this.node.words[byte >>> 2];
    if (slot < 0 || slot >= L.SLOTS_MAX || !this.isLive(slot, granule)) return;
    this.suspectSlots[this.suspects] = slot;
    this.suspectGranules[this.suspects++] = granule;
  }

  private lose(slot: SlotIndex, granule: number, reason: number): void {
    const { node } = this;
    node.lock();
    if (this.isLive(slot, granule)) {
      const word = slotWordLocked(node, slot);
      const lost = W.isCached(word) ? W.SLOT_EMPTY : W.SLOT_LOST;
      setSlotWordLocked(node, slot, W.slotWord(lost, reason) | (word & W.SLOT_CACHED));
      releaseStorageLocked(node, slot, word);
      if (reason === W.LOST_CORRUPT) node.counters[C.file_corrupt]++;
      if (lost === W.SLOT_LOST) this.lost++;
    }
    node.unlock();
  }

  private moveOut(): boolean {
    const { node, count } = this;
    if (count === 0) return true;
    const target = writeBatch(node, this.device, this.packed, this.drains ? F.SPARE_SEGMENTS : 0);
    if (target < 0) return this.drains && this.moveToPool();
    node.lock();
    let live = 0;
    for (let i = 0; i < count; i++) {
      if (this.repointLocked(i, W.slotWord(W.SLOT_FILE, target + this.to[i]))) live++;
    }
    F.commitLocked(node, target, live, count);
    node.unlock();
    return true;
  }

  private repointLocked(i: number, to: number): boolean {
    const { node } = this;
    const slot = this.slots[i] as SlotIndex;
    if (!this.isLive(slot, this.from[i])) return false;
    const word = slotWordLocked(node, slot);
    attachStorageLocked(node, slot, to | (word & W.SLOT_CACHED));
    releaseStorageLocked(node, slot, word);
    return true;
  }

  /** In short holds of the lock. False when the pool has no room for all of them; some may have moved. */
  private moveToPool(): boolean {
    const { node } = this;
    for (let i = 0; i < this.count; i++) {
      node.lock();
      const isDone = !this.isLive(this.slots[i], this.from[i]) || this.moveToPoolLocked(i);
      node.unlock();
      if (!isDone) return false;
    }
    return true;
  }

  private moveToPoolLocked(i: number): boolean {
    const { node } = this;
    if (!hasRoomOrAsks(node)) return false;
    const byte = node.stagingByte + this.to[i] * F.FILE_GRANULE_BYTES;
    const stored = storeInPoolLocked(node, this.slots[i] as SlotIndex, byte, GFP_NOWAIT);
    return stored !== 0 && this.repointLocked(i, stored);
  }
}

/** Has the pool room? When only frames are wanting, kswapd is asked for some. */
function hasRoomOrAsks(node: Node): boolean {
  if (hasPoolRoom(node)) return true;
  if (isPoolBelowShare(node)) wakeKswapd(node);
  return false;
}
