/**
 * A region as one thread sees it (vm/page-space.ts is the contract). Reading a resident page takes no lock and stores
 * nothing but a touch mark:
 *
 *   open    leaf from the TLB · entry · frame version · entry again · generation       all as loaded, in this order
 *   close   frame version unchanged                                                    the bytes in between were this page's
 *
 * The version moves when the entry has left the frame and before the frame is used again, so an unchanged version
 * spans the whole read (vmcache's optimistic latch, with the version kept per frame). The generation moves when no
 * directory names the leaf any more and before it is freed, so an unchanged generation means the entry was read from a
 * live leaf. All schedules of small models are tried in vm/region-space.interleaving.test.ts.
 *
 * A swapped page is read where it lies (transient read): decoded into a scratch page of this thread, only as far as
 * wanted, and validated by the slot's sequence. Several touches in a row within the working-set distance bring it in
 * (reclaim/working-set.ts). The usual cases of `read` take one call of a kernel (vm/page-read.ts).
 */

import { closingLoad } from '../arena/fence.ts';
import { tryPin, unpin } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent, PTE_NONE, wordFromPte } from '../arena/pte.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES, PAGE_WORDS, type Pfn, type WordIndex } from '../base/units.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import { ageBucket } from '../reclaim/working-set.ts';
import { slotOfEntry } from '../swap/direct-entry.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot, sequenceAt } from '../swap/swap-table.ts';
import { isReadInSequence, noteRead } from './access.ts';
import { faultRead, faultWrite, filled, type PageFiller } from './fault.ts';
import { readOnFile } from './file-read.ts';
import type { Memory } from './memory.ts';
import { bytesRead, placeOfRead, READ_ON_FILE, READ_OTHERWISE, READ_RESIDENT } from './page-read.ts';
import type { PageSpace, PageView } from './page-space.ts';
import { createPageView } from './page-space.ts';
import { READ_OK, READ_RETRY, readError } from './read-outcome.ts';
import { promoteRead, TOUCH_MEMORY, TOUCH_POOL, touchSwapped } from './refault.ts';
import { readStorage } from './swap-in.ts';
import { discardRange } from './unmap.ts';

/** Leaves remembered a region and thread: 1,024 chunks of 2 MiB, 2 GiB without a walk. */
const TLB_ENTRIES = 1024;
/** A reader overtaken this often in a row by reclaim takes a page in instead of trying on. */
/** Pages in memory that a reader in order may have met since the last swapped one. */
const IN_ORDER_MAX = 8;
const RETRIES_MAX = 1_000_000;
/**
 * Retries between two looks at the node lock: its holder may be off the processor half way through what the reader
 * waits for.
 */
const RETRIES_BEFORE_LOCK = 64;

const ZERO_WORDS = new Int32Array(PAGE_WORDS);
const ZERO_BYTES = new Uint8Array(ZERO_WORDS.buffer);

export class RegionSpace implements PageSpace {
  readonly size: number;
  readonly region: number;
  private readonly memory: Memory;
  private readonly nodes: readonly Node[];
  private readonly nodeCount: number;
  private readonly generationAt: number;
  private readonly tlbChunks = new Int32Array(TLB_ENTRIES).fill(-1);
  private readonly tlbLeaves = new Int32Array(TLB_ENTRIES);
  private tlbGeneration = -1;
  /** Set by openSwapped for openRead: bring the page in, then look again. */
  private promote = false;
  /** The page could not be brought in: this read does without. */
  private isPromotionOff = false;
  private readonly view: PageView = createPageView();
  /** Entry of the swapped page that was read last, and its node. */
  private lastEntry = -1;
  private lastNode = -1;
  private isClosed = false;

  constructor(memory: Memory, region: number, size: number) {
    this.memory = memory;
    this.region = region;
    this.size = size;
    this.nodes = memory.nodes;
    this.nodeCount = memory.nodes.length;
    this.generationAt = regionAt(region) + L.R_GENERATION;
  }

  read(offset: number, target: Uint8Array, targetOffset: number, length: number): void {
    let at = offset;
    let to = targetOffset;
    const end = offset + length;
    while (at < end) {
      const inPage = at % PAGE_BYTES;
      const step = Math.min(PAGE_BYTES - inPage, end - at);
      this.readInPage(at, inPage, step, target, to);
      at += step;
      to += step;
    }
  }

  copyOut(view: PageView, from: number, target: Uint8Array, to: number, length: number): void {
    const start = view.byte + from;
    if (target.buffer === view.bytes.buffer) {
      this.nodes[view.node].kernel.copy((target.byteOffset + to) | 0, start | 0, length);
    } else target.set(view.bytes.subarray(start, start + length), to);
  }

  private readInPage(offset: number, inPage: number, length: number, target: Uint8Array, to: number): void {
    if (this.readAtOnce(offset, inPage, length, target, to)) return;
    const { view } = this;
    view.place = length === PAGE_BYTES ? this.placeIn(target, to, offset) : -1;
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      this.openRead(offset, inPage + length, view);
      if (view.byte !== view.place) this.copyOut(view, inPage, target, to, length);
      if (this.closeRead(view)) return;
    }
    throw new QuireError('ERR_QUIRE_FAILED', 'a read made no progress');
  }

  /** Byte `to` of the target in the memory that the page at `offset` is in; −1 when the target is elsewhere. */
  private placeIn(target: Uint8Array, to: number, offset: number): number {
    const n = this.nodeCount === 1 ? 0 : Math.floor(offset / CHUNK_BYTES) % this.nodeCount;
    return target.buffer === this.nodes[n].bytes.buffer ? target.byteOffset + to : -1;
  }

  /** The usual cases of `readInPage`. False: to be read in the general way, which writes over what this left in `target`. */
  private readAtOnce(offset: number, inPage: number, length: number, target: Uint8Array, to: number): boolean {
    const isAlone = this.nodeCount === 1;
    if (this.isClosed) return false;
    if (!isAlone) this.checkAlive();
    const chunk = Math.floor(offset / CHUNK_BYTES);
    const page = (offset - chunk * CHUNK_BYTES) >>> 12;
    const n = isAlone ? 0 : chunk % this.nodeCount;
    const local = isAlone ? chunk : Math.floor(chunk / this.nodeCount);
    const node = this.nodes[n];
    const generation = this.tlbGeneration;
    // With one node the kernel looks at state and generation.
    if (!isAlone && !this.isCurrent(generation)) return false;
    const leaf = this.leafOf(node, chunk, local, generation);
    if (leaf === 0) return false;
    const entryAt = leaf + page;
    const end = inPage + length;
    const bucket = ageBucket(node);
    const generationAt = isAlone ? this.generationAt << 2 : 0;
    const how = node.kernel.readPage(node.readBlock | 0, generationAt, generation, entryAt << 2, inPage, end, bucket);
    if (how === READ_OTHERWISE) return false;
    const isOnFile = how === READ_ON_FILE;
    const isHere = isOnFile && target.buffer === node.bytes.buffer;
    if (isOnFile) {
      if (this.isInOrder(node, n, entryAt)) return false;
      const place = isHere ? (target.byteOffset + to) | 0 : placeOfRead(node, inPage);
      if (!readOnFile(node, this.memory.device, generationAt, generation, inPage, end, bucket, place)) return false;
    }
    // After the bytes: an unchanged generation means that the leaf was alive all the while.
    if (!isAlone && !this.isCurrent(generation)) return false;
    if (how !== READ_RESIDENT) {
      node.counters[C.transient_reads]++;
      this.noteRead(node, n, entryAt);
    }
    if (!isHere) target.set(bytesRead(node, inPage, length), to);
    return true;
  }

  write(offset: number, source: Uint8Array, sourceOffset: number, length: number): void {
    let at = offset;
    let from = sourceOffset;
    const end = offset + length;
    while (at < end) {
      const inPage = at % PAGE_BYTES;
      const step = Math.min(PAGE_BYTES - inPage, end - at);
      if (step === PAGE_BYTES) this.writePage(at, source, from);
      else this.writeInPage(at, inPage, step, source, from);
      at += step;
      from += step;
    }
  }

  private writeInPage(offset: number, inPage: number, length: number, source: Uint8Array, from: number): void {
    const { view } = this;
    this.openWrite(offset, view);
    const to = view.byte + inPage;
    if (source.buffer === view.bytes.buffer) {
      this.nodes[view.node].kernel.copy(to | 0, (source.byteOffset + from) | 0, length);
    } else view.bytes.set(from === 0 && length === source.length ? source : source.subarray(from, from + length), to);
    this.closeWrite(view);
  }

  /** A whole page: bytes that were swapped out need not come back first, nor be readable. */
  private writePage(offset: number, source: Uint8Array, from: number): void {
    const page = from === 0 && source.length === PAGE_BYTES ? source : source.subarray(from, from + PAGE_BYTES);
    this.storePage(offset, (node, target) => node.bytes.set(page, target));
  }

  private storePage(offset: number, filler: PageFiller): void {
    const { view } = this;
    if (this.pinResident(offset, view)) {
      filler(this.nodes[view.node], view.byte);
      this.closeWrite(view);
      return;
    }
    const { n, chunk, page } = this.placeOf(offset);
    const pfn = this.fault(n, chunk, page, filler);
    const node = this.nodes[n];
    if (!filled.done) filler(node, pfn * PAGE_BYTES);
    unpin(node, pfn);
  }

  fill(offset: number, byte: number, length: number): void {
    let at = offset;
    const end = offset + length;
    while (at < end) {
      const inPage = at % PAGE_BYTES;
      const step = Math.min(PAGE_BYTES - inPage, end - at);
      if (step === PAGE_BYTES) this.storePage(at, (node, target) => node.kernel.fill(target | 0, byte, PAGE_BYTES));
      else this.fillInPage(at, inPage, byte, step);
      at += step;
    }
  }

  private fillInPage(offset: number, inPage: number, byte: number, length: number): void {
    const { view } = this;
    this.openWrite(offset, view);
    this.nodes[view.node].kernel.fill((view.byte + inPage) | 0, byte, length);
    this.closeWrite(view);
  }

  discard(offset: number, length: number): void {
    this.checkAlive();
    const first = Math.ceil(offset / PAGE_BYTES) * PAGE_BYTES;
    const last = Math.floor((offset + length) / PAGE_BYTES) * PAGE_BYTES;
    if (first > last) {
      this.zeroPart(offset, length);
      return;
    }
    if (first > offset) this.zeroPart(offset, first - offset);
    if (offset + length > last) this.zeroPart(last, offset + length - last);
    try {
      discardRange(this.memory, this.region, first, last);
    } catch (error) {
      throw this.memory.latch(error);
    }
  }

  /** Zeroes part of a page; a page that is not there is zero already. */
  private zeroPart(offset: number, length: number): void {
    const { n, chunk, page } = this.placeOf(offset);
    const leaf = findLeaf(this.nodes[n], this.region, chunk);
    if (leaf === 0 || Atomics.load(this.nodes[n].words, leaf + page) === PTE_NONE) return;
    this.fill(offset, 0, length);
  }

  openRead(offset: number, neededEnd: number, view: PageView): void {
    this.checkAlive();
    const chunk = Math.floor(offset / CHUNK_BYTES);
    const page = (offset - chunk * CHUNK_BYTES) >>> 12;
    const n = this.nodeCount === 1 ? 0 : chunk % this.nodeCount;
    const local = this.nodeCount === 1 ? chunk : Math.floor(chunk / this.nodeCount);
    const node = this.nodes[n];
    const { words } = node;
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const generation = Atomics.load(this.nodes[0].words, this.generationAt);
      const leaf = this.leafOf(node, chunk, local, generation);
      if (leaf === 0) {
        openZeros(view);
        return;
      }
      const pte = Atomics.load(words, leaf + page);
      if (isPresent(pte)) {
        const pfn = frameFromPte(pte);
        const version = Atomics.load(words, node.versionAt + pfn);
        if (Atomics.load(words, leaf + page) === pte && this.isCurrent(generation)) {
          if (words[node.touchAt + pfn] === 0) words[node.touchAt + pfn] = 1;
          openFrame(node, pfn, version, view);
          return;
        }
      } else if (pte === PTE_NONE) {
        if (this.isCurrent(generation)) {
          openZeros(view);
          return;
        }
      } else if (this.openSwapped(n, leaf + page, pte, generation, offset % PAGE_BYTES, neededEnd, view)) {
        this.isPromotionOff = false;
        return;
      } else if (this.promote) {
        this.promote = false;
        this.isPromotionOff = !this.bringIn(n, local, page);
      }
      node.counters[C.optimistic_retries]++;
      if (attempt % RETRIES_BEFORE_LOCK === RETRIES_BEFORE_LOCK - 1) node.waitForLock();
    }
    throw new QuireError('ERR_QUIRE_FAILED', 'a read made no progress');
  }

  private bringIn(n: number, local: number, page: number): boolean {
    try {
      return faultRead(this.memory, n, this.region, local, page);
    } catch (error) {
      throw this.memory.latch(error);
    }
  }

  closeRead(view: PageView): boolean {
    if (view.pfn < 0) return true;
    const node = this.nodes[view.node];
    return closingLoad(node.words, node.versionAt + view.pfn) === view.version;
  }

  openWrite(offset: number, view: PageView): void {
    if (this.pinResident(offset, view)) return;
    const { n, chunk, page } = this.placeOf(offset);
    const pfn = this.fault(n, chunk, page);
    openFrame(this.nodes[n], pfn, 0, view);
  }

  /** The slow way of a write. What breaks in it breaks the instance, whoever called: a region, a map, the server. */
  private fault(n: number, chunk: number, page: number, filler?: PageFiller): Pfn {
    try {
      return faultWrite(this.memory, n, this.region, chunk, page, filler);
    } catch (error) {
      throw this.memory.latch(error);
    }
  }

  closeWrite(view: PageView): void {
    unpin(this.nodes[view.node], view.pfn as Pfn);
  }

  /** Pins the page for writing if it is resident and has no clean copy: two atomic operations, no lock. */
  private pinResident(offset: number, view: PageView): boolean {
    this.checkAlive();
    const chunk = Math.floor(offset / CHUNK_BYTES);
    const page = (offset - chunk * CHUNK_BYTES) >>> 12;
    const n = this.nodeCount === 1 ? 0 : chunk % this.nodeCount;
    const local = this.nodeCount === 1 ? chunk : Math.floor(chunk / this.nodeCount);
    const node = this.nodes[n];
    const { words } = node;
    const generation = Atomics.load(this.nodes[0].words, this.generationAt);
    const leaf = this.leafOf(node, chunk, local, generation);
    if (leaf === 0) return false;
    const pte = Atomics.load(words, leaf + page);
    if (!isPresent(pte)) return false;
    const pfn = frameFromPte(pte);
    if (!tryPin(node, pfn)) return false;
    // The pin holds off every unmap from now on; was the entry still this frame's when it took hold?
    if (
      Atomics.load(words, leaf + page) !== pte ||
      !this.isCurrent(generation) ||
      Atomics.load(words, node.slotAt + pfn) !== 0
    ) {
      unpin(node, pfn);
      return false;
    }
    if (words[node.touchAt + pfn] === 0) words[node.touchAt + pfn] = 1;
    openFrame(node, pfn, 0, view);
    return true;
  }

  /** True when the view holds the page, false to look again. */
  private openSwapped(
    n: number,
    pteAt: number,
    pte: number,
    generation: number,
    from: number,
    neededEnd: number,
    view: PageView,
  ): boolean {
    const node = this.nodes[n];
    const slot = slotOfEntry(node, pteAt, pte);
    const sequence = Atomics.load(node.words, sequenceAt(slot));
    if (Atomics.load(node.words, pteAt) !== pte || !this.isCurrent(generation)) return false;
    const word = node.isVirtual ? peekSlot(node, slot) & ~W.SLOT_CACHED : wordFromPte(pte);
    const tag = W.tagOf(word);
    if (tag === W.SLOT_FRAME || tag === W.SLOT_RAW) return openStorageFrame(node, slot, word, sequence, view);
    if (tag === W.SLOT_FREE || tag === W.SLOT_EMPTY) return false;
    const isInOrder = this.noteRead(node, n, pteAt);
    const touch = touchSwapped(node, slot, sequence, tag === W.SLOT_FILE, !this.isPromotionOff);
    if (touch === TOUCH_MEMORY) {
      this.promote = true;
      return false;
    }
    node.counters[C.transient_reads]++;
    if (isInOrder && tag === W.SLOT_FILE) node.ahead.entry = pteAt;
    node.ahead.wantsWhole = touch === TOUCH_POOL;
    const scratch = view.place < 0 ? node.nextScratch() : view.place;
    const outcome = readStorage(node, this.memory.device, slot, word, sequence, scratch | 0, neededEnd, from);
    if (outcome === READ_RETRY) return false;
    if (outcome !== READ_OK) throw readError(node, outcome);
    markStorageUsed(node, word);
    if (touch === TOUCH_POOL) promoteRead(node, slot, W.payloadOf(word), sequence);
    view.words = node.words;
    view.bytes = node.bytes;
    view.byte = scratch;
    view.word = scratch >>> 2;
    view.pfn = -1;
    view.node = n;
    return true;
  }

  /**
   * Tells 'auto' regions how far from the last read of a swapped page this one is; a new leaf is a jump. True when the
   * pages behind it are likely to be next.
   */
  private noteRead(node: Node, n: number, pteAt: number): boolean {
    noteRead(node, this.region, this.distanceTo(n, pteAt));
    const isInOrder = this.isInOrder(node, n, pteAt);
    this.lastEntry = pteAt;
    this.lastNode = n;
    return isInOrder;
  }

  private isInOrder(node: Node, n: number, pteAt: number): boolean {
    const distance = this.distanceTo(n, pteAt);
    return (distance > 0 && distance <= IN_ORDER_MAX) || isReadInSequence(node, this.region);
  }

  /** From the swapped page that was read last. */
  private distanceTo(n: number, pteAt: number): number {
    return n === this.lastNode ? pteAt - this.lastEntry : -1;
  }

  /** The owner of this view gives the region up: what uses it afterwards would find another's pages. */
  close(): void {
    this.isClosed = true;
  }

  /** Throws ERR_QUIRE_CLOSED or ERR_QUIRE_FAILED when the region or its instance is of no use any more. */
  checkAlive(): void {
    if (this.isClosed) throw new QuireError('ERR_QUIRE_CLOSED', 'the region is closed');
    if (Atomics.load(this.nodes[0].words, L.H_STATE) !== L.STATE_OPEN) this.memory.checkAlive();
  }

  /** Is the generation still the one the leaf was looked up under? */
  private isCurrent(generation: number): boolean {
    return Atomics.load(this.nodes[0].words, this.generationAt) === generation;
  }

  private leafOf(node: Node, chunk: number, local: number, generation: number): WordIndex {
    if (generation !== this.tlbGeneration) {
      this.tlbChunks.fill(-1);
      this.tlbGeneration = generation;
    }
    const index = chunk & (TLB_ENTRIES - 1);
    if (this.tlbChunks[index] === chunk) return this.tlbLeaves[index] as WordIndex;
    const leaf = findLeaf(node, this.region, local);
    if (leaf !== 0) {
      this.tlbChunks[index] = chunk;
      this.tlbLeaves[index] = leaf;
    }
    return leaf;
  }

  /** Node, the node's chunk number, and the page in it. */
  placeOf(offset: number): { n: number; chunk: number; page: number } {
    const chunk = Math.floor(offset / CHUNK_BYTES);
    const page = (offset - chunk * CHUNK_BYTES) >>> 12;
    return { n: chunk % this.nodeCount, chunk: Math.floor(chunk / this.nodeCount), page };
  }
}

function openZeros(view: PageView): void {
  view.words = ZERO_WORDS;
  view.bytes = ZERO_BYTES;
  view.byte = 0;
  view.word = 0;
  view.pfn = -1;
}

function openFrame(node: Node, pfn: Pfn, version: number, view: PageView): void {
  view.words = node.words;
  view.bytes = node.bytes;
  view.byte = pfn * PAGE_BYTES;
  view.word = pfn * PAGE_WORDS;
  view.pfn = pfn;
  view.version = version;
  view.node = node.index;
}

/** A page in flight, or kept raw: its bytes lie in a frame and are read there, under the frame's version. */
function openStorageFrame(node: Node, slot: number, word: number, sequence: number, view: PageView): boolean {
  const pfn = W.payloadOf(word) as Pfn;
  if (pfn >= node.frames) return false;
  const version = Atomics.load(node.words, node.versionAt + pfn);
  if ((peekSlot(node, slot) & ~W.SLOT_CACHED) !== word) return false;
  // The version is of the time when the slot was still this page's; from here on the version alone vouches for the
  // frame.
  if (Atomics.load(node.words, sequenceAt(slot)) !== sequence) return false;
  if (node.words[node.touchAt + pfn] === 0) node.words[node.touchAt + pfn] = 1;
  openFrame(node, pfn, version, view);
  return true;
}

/**
 * The zspage was used: the demotion clock passes it once. The frame the object starts in takes the mark; the clock looks
 * at all frames of the chain.
 */
function markStorageUsed(node: Node, word: number): void {
  if (W.tagOf(word) !== W.SLOT_OBJECT) return;
  const pfn = W.locationPfn(W.payloadOf(word));
  if (pfn < node.frames && node.words[node.touchAt + pfn] === 0) node.words[node.touchAt + pfn] = 1;
}
