/**
 * Reclaim as one thread does it: isolate idle pages, compress them, publish; hand cold objects to the file tier when
 * the pool is large or nothing is left to compress. kswapd runs it in the background, a thread out of frames runs it
 * for itself (direct reclaim). Numbered phases as in shrink_folio_list, each a function.
 *
 * kswapd passes `queue: true`: same-filled pages are dealt with at once, the others go to the ring for kcompressd.
 * Direct reclaim compresses for itself, it never queues behind others.
 */

import { LRU_ACTIVE, LRU_INACTIVE } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import { PAGE_BYTES, type Pfn, UNIT_PAGES } from '../base/units.ts';
import { NO_GROUP } from '../reclaim/group-turn.ts';
import { lruBlockAt, lruSize, lruSizeOfAll } from '../reclaim/lru.ts';
import { Compressor } from './compressor.ts';
import {
  DEMOTED_BUSY,
  DEMOTED_FILE_FULL,
  DEMOTED_IO_ERROR,
  DEMOTED_SOME,
  Demoter,
  RAW_BATCH,
  SWEEP_FRAMES_MAX,
} from './demoter.ts';
import { freeDetachedLeaf } from './detached-leaves.ts';
import { FileCleaner } from './file-cleaner.ts';
import { hasDevice } from './file-devices.ts';
import { incompressiblePolicy } from './incompressible.ts';
import { compactPool } from './pool-compactor.ts';
import { ROUND_GAINED, ROUND_LOOKED, ROUND_NOTHING, ROUND_TRIED } from './reclaim-loop.ts';
import { ringPushLocked, wakeKcompressd } from './ring.ts';
import { Standstill } from './standstill.ts';
import {
  COMPRESS_BATCH,
  claimLocked,
  createIsolateResult,
  type IsolateResult,
  isolateLocked,
  publishSameLocked,
} from './swap-out.ts';
import { Sweep } from './sweep.ts';

/** Pages kswapd isolates at a time (SWAP_CLUSTER_MAX). */
export const ISOLATE_BATCH = 32;
/** The last of them may be a unit. */
const ISOLATED_MAX = ISOLATE_BATCH + UNIT_PAGES - 1;
/** Objects pool compaction may move in one go before demotion is considered. */
const COMPACT_OBJECTS = 256;
/**
 * Resident pages that reclaim leaves alone while the file tier can take compressed ones: below 1/16 of the node,
 * thrashing costs more than disk.
 */
const RESIDENT_SHARE_MIN = 16;

/** A batch that ends while nobody waits yet, or in another node, is seen after that time. */
const WRITEBACK_WAIT_MS = 10;

/** Pages looked at in vain before direct reclaim writes dirty ones back although clean ones may be left: some 20 µs. */
const SCAN_BEFORE_WRITE = 2048;

export class Reclaimer {
  readonly node: Node;
  /**
   * Writes some dirty pages of files back, on this thread, if it can at once; true when it did. Set where files are open
   * (vm/memory.ts). Direct reclaim calls it, with no lock held, when it met nothing but dirty pages.
   */
  writeBack: (() => boolean) | undefined;
  /** Has another thread taken it upon itself to write a file back that has dirty pages here? Set with `writeBack`. */
  isOtherWriting: (() => boolean) | undefined;
  /** The last round gained nothing because of dirty pages of files, and could not write any back itself. */
  isHeldByFiles = false;
  private readonly demoter: Demoter | undefined;
  private readonly cleaner: FileCleaner | undefined;
  private readonly compressor: Compressor;
  private readonly isolated = new Int32Array(ISOLATED_MAX);
  private readonly versions = new Int32Array(ISOLATED_MAX);
  private readonly fills = new Int32Array(ISOLATED_MAX);
  private readonly result = createIsolateResult();
  /** What became of the last batch, but for what was left to this thread. */
  private readonly sorted = { same: 0, queued: 0 };
  /** Looks since the last gain; of one group, in reclaim at its limit. */
  private readonly sweepOfAll = new Sweep();
  private readonly sweepOfGroup = new Sweep();
  private readonly standstill = new Standstill();
  /** The sweeps of the call under way are not cut short. */
  private isWhole = true;
  /** Pages that the last round's batch kept raw. */
  private rawMade = 0;
  /** That of the last round. */
  private sweep = this.sweepOfAll;

  constructor(node: Node, device: Device | undefined) {
    this.node = node;
    this.demoter = device === undefined ? undefined : new Demoter(node, device);
    this.compressor = new Compressor(node, device !== undefined);
    this.cleaner = device === undefined ? undefined : new FileCleaner(node, device);
    if (device !== undefined) this.compressor.demoteRaw = (pfns) => this.demoteRaw(pfns);
  }

  /** Direct reclaim begins. */
  beginSweeps(): void {
    const looks = this.standstill.looksOfSweep(this.node.words);
    this.isWhole = looks === Number.POSITIVE_INFINITY;
    this.sweepOfAll.restart(looks);
  }

  /** It was vain, or not. */
  endSweeps(isVain: boolean): void {
    if (isVain) this.standstill.note(this.node.words, this.pagesOnLists(), this.isWhole);
    this.sweepOfAll.restart(Number.POSITIVE_INFINITY);
  }

  private pagesOnLists(): number {
    return lruSizeOfAll(this.node, LRU_INACTIVE) + lruSizeOfAll(this.node, LRU_ACTIVE);
  }

  beginGroupSweep(): void {
    this.sweepOfGroup.begin();
  }

  /**
   * One round. Returns true when it made progress of any kind: frames freed, pages sent on their way, storage moved, pages
   * looked at that may be found idle next time. `queue` says whether the ring may be used, `direct` under which name to count.
   */
  round(queue: boolean, direct: boolean): boolean {
    return this.runRound(queue, direct) !== ROUND_NOTHING;
  }

  /** One round of direct reclaim. Returns a ROUND_ code; ROUND_NOTHING when a whole sweep was vain. */
  directRound(): number {
    return this.runRound(false, true);
  }

  private runRound(queue: boolean, direct: boolean): number {
    const { node, result } = this;
    this.isHeldByFiles = false;
    this.sweep = this.sweepOfAll;
    if (freeDetachedLeaf(node)) return ROUND_GAINED;
    if (this.wantsDemotion() && this.demote()) return ROUND_GAINED;
    if (this.swapOutRound(queue ? ISOLATE_BATCH : COMPRESS_BATCH, queue, direct) > 0) return ROUND_GAINED;
    const isOver = !this.sweep.goesOn(lookedAt(result), result.dirty, this.pagesOnLists());
    if (result.dirty > 0) this.askFlusher();
    this.isHeldByFiles = result.dirty > 0 && this.isMostlyDirty();
    if (this.isHeldByFiles && direct && this.writeBackSome()) return ROUND_GAINED;
    if (!isOver) return this.hasTried();
    if (!queue && this.drainRing(COMPRESS_BATCH, direct) > 0) return ROUND_GAINED;
    if (compactPool(node, COMPACT_OBJECTS) > 0) return ROUND_GAINED;
    if (this.demote()) return ROUND_GAINED;
    return this.sweep.isDirtyMet && direct && this.writeBackSome() ? ROUND_GAINED : ROUND_NOTHING;
  }

  /** One round for a group at its limit: of its own pages, on this thread. A ROUND_ code, as `directRound`. */
  groupRound(group: number): number {
    const { node, result } = this;
    this.isHeldByFiles = false;
    if (freeDetachedLeaf(node, group)) return ROUND_GAINED;
    this.sweep = this.sweepOfGroup;
    if (this.swapOutRound(COMPRESS_BATCH, false, true, group) > 0) return ROUND_GAINED;
    if (result.dirty > 0) {
      this.askFlusher();
      if (this.writeBackSome()) return ROUND_GAINED;
    }
    const block = lruBlockAt(group);
    const pages = lruSize(node, block, LRU_INACTIVE) + lruSize(node, block, LRU_ACTIVE);
    if (this.sweep.goesOn(lookedAt(result), result.dirty, pages)) return this.hasTried();
    this.isHeldByFiles = this.sweep.isDirtyMet;
    // Pages of the group may be queued. When what was compressed found no frame for it, the file tier makes room.
    if (this.drainRing(COMPRESS_BATCH, true) > 0) return ROUND_GAINED;
    const isFull = node.words[L.H_FREE_FRAMES] <= node.words[L.H_WMARK_MIN];
    if (isFull && this.demote()) return ROUND_GAINED;
    // Pages of the group may wait in leaves of others, of clones.
    return freeDetachedLeaf(node) ? ROUND_GAINED : ROUND_NOTHING;
  }

  /** Of a round in the middle of a sweep. Pages that became raw left the lists: the sweep bounds that. */
  private hasTried(): number {
    return this.result.isolated > this.rawMade ? ROUND_TRIED : ROUND_LOOKED;
  }

  /**
   * Waits a little for pages of files that another thread writes back: when it has, they can go. Also for one that has such
   * a file in hand and is busy with a batch of another node. False when nobody is at it.
   */
  waitForWriteback(): boolean {
    const { words } = this.node;
    const pages = Atomics.load(words, L.H_PC_WRITEBACK);
    if (pages === 0 && !(this.sweep.isDirtyMet && this.isOtherWriting?.() === true)) return false;
    // Pairs with the notify at the end of a batch (page-cache/writeback.ts).
    Atomics.wait(words, L.H_PC_WRITEBACK, pages, WRITEBACK_WAIT_MS);
    return true;
  }

  private askFlusher(): void {
    Atomics.store(this.node.words, L.H_FLUSH_WANTED, 1);
    wakeFlusher(this.node);
  }

  /** Is looking on worth less than writing back: most of the files' pages are dirty, or many were looked at in vain? */
  private isMostlyDirty(): boolean {
    const { words } = this.node;
    const dirty = Atomics.load(words, L.H_PC_DIRTY) + Atomics.load(words, L.H_PC_WRITEBACK);
    return dirty * 2 > words[L.H_PC_PAGES] || this.sweep.looks > SCAN_BEFORE_WRITE;
  }

  /** Direct reclaim helps the flusher. */
  private writeBackSome(): boolean {
    if (this.writeBack?.() !== true) return false;
    this.isHeldByFiles = false;
    this.sweep.begin();
    return true;
  }

  /** The pool has outgrown its share, or so little is resident that compressing more would only thrash. */
  wantsDemotion(): boolean {
    if (this.demoter === undefined || !hasDevice(this.node.home)) return false;
    const { words } = this.node;
    const pool = words[L.H_ZS_FRAMES] + words[L.H_RAW_FRAMES];
    if (pool > words[L.H_POOL_FRAMES_MAX]) return true;
    return words[L.H_REGION_PAGES] < this.node.frames / RESIDENT_SHARE_MIN && pool > 0;
  }

  /**
   * Sends cold storage to the file, cleaning the log first when it is full. The hand passes young zspages once, so
   * finding nothing means nothing only after two turns over the node.
   */
  demote(): boolean {
    if (this.demoter === undefined || !hasDevice(this.node.home)) return false;
    const { words, frames } = this.node;
    const sweepsMax = Math.ceil((2 * frames) / SWEEP_FRAMES_MAX) + 1;
    for (let sweep = 0; sweep < sweepsMax && words[L.H_ZS_FRAMES] + words[L.H_RAW_FRAMES] > 0; sweep++) {
      const outcome = this.demoter.demote();
      if (outcome === DEMOTED_SOME) return true;
      if (outcome === DEMOTED_FILE_FULL) return this.cleaner?.clean() === true;
      // Busy is no progress of ours: kswapd goes on to compress, direct reclaim waits a little (direct-reclaim.ts).
      if (outcome === DEMOTED_IO_ERROR || outcome === DEMOTED_BUSY) return false;
    }
    return false;
  }

  /** What does not go now, since another thread demotes or the log is full, is left to the clock. */
  private demoteRaw(pfns: Int32Array): void {
    if (incompressiblePolicy(this.node) !== 'demote' || !hasDevice(this.node.home)) return;
    for (let at = 0; at < pfns.length; at += RAW_BATCH) {
      if (this.demoter?.demote(pfns.subarray(at, at + RAW_BATCH)) !== DEMOTED_SOME) return;
    }
  }

  /**
   * Compresses up to `limit` pages that wait in the ring, at most a batch: kcompressd does nothing else, and direct
   * reclaim with nothing left to isolate helps instead of waiting. Returns how many pages that was progress for.
   */
  drainRing(limit: number, direct: boolean): number {
    const { node, compressor } = this;
    const progress = compressor.runRing(limit);
    node.counters[C.kcompressd_pages] += compressor.takeTaken();
    this.countFreed(compressor.takeFreed(), 0, direct);
    return progress;
  }

  /** Returns how many pages left: their frames are free, or they are on their way. */
  private swapOutRound(limit: number, queue: boolean, direct: boolean, group = NO_GROUP): number {
    const { node, result } = this;
    // 1. Isolate. Clean pages are free at once.
    node.lock();
    // What was found shut may be open when a sweep begins. kswapd begins none: it asks each time.
    if (!direct || this.sweep.looks === 0) result.shutGroup = NO_GROUP;
    result.passesDirty = this.sweep.hasLookedAtAll;
    isolateLocked(node, limit, this.isolated, result, group);
    for (let i = 0; i < result.isolated; i++) this.versions[i] = node.words[node.versionAt + this.isolated[i]];
    node.unlock();
    node.counters[direct ? C.pgscan_direct : C.pgscan_kswapd] += result.scanned;
    const count = result.isolated;
    let gained = result.freed;
    let freed = result.freed;
    if (count > 0) {
      // 2. Same-filled pages need no compressor: found before anything is queued.
      for (let i = 0; i < count; i++) this.fills[i] = fillByteOf(node, this.isolated[i]);
      // 3. Publish those, queue the rest.
      const kept = this.sortBatch(count, queue);
      gained += this.sorted.same + this.sorted.queued;
      // 4. What the ring did not take is compressed here.
      if (kept > 0) gained += this.compressor.run(this.isolated.subarray(0, kept));
      freed += this.sorted.same + this.compressor.takeFreed();
    }
    this.rawMade = this.compressor.takeRaw();
    if (gained > 0) this.sweep.begin();
    this.countFreed(freed, result.freedFile, direct);
    return gained;
  }

  /** Frames count when they are free, not when their pages are sent on their way. */
  private countFreed(freed: number, freedFile: number, direct: boolean): void {
    const { counters } = this.node;
    counters[direct ? C.pgsteal_direct : C.pgsteal_kswapd] += freed;
    counters[C.pgsteal_anon] += freed - freedFile;
    counters[C.pgsteal_file] += freedFile;
  }

  /**
   * Publishes same-filled pages and queues others; those left for this thread move to the front of `isolated`.
   * Returns how many.
   */
  private sortBatch(count: number, queue: boolean): number {
    const { node, sorted } = this;
    let kept = 0;
    sorted.same = 0;
    sorted.queued = 0;
    node.lock();
    for (let i = 0; i < count; i++) {
      const pfn = this.isolated[i] as Pfn;
      if (node.words[node.versionAt + pfn] !== this.versions[i]) continue; // rescued or discarded since
      if (this.fills[i] >= 0 && claimLocked(node, pfn)) {
        publishSameLocked(node, pfn, this.fills[i]);
        sorted.same++;
      } else if (queue && ringPushLocked(node, pfn)) sorted.queued++;
      else this.isolated[kept++] = pfn;
    }
    node.unlock();
    if (sorted.queued > 0) wakeKcompressd(node, COMPRESS_BATCH);
    if (queue && node.words[L.H_KCOMPRESSD] > 0) node.counters[C.kcompressd_fallback] += kept;
    return kept;
  }
}

/** Ageing alone counts too: when all pages are active and touched, the first look at them only takes marks back. */
function lookedAt(result: IsolateResult): number {
  return result.scanned + result.aged;
}

/** The byte that fills the page, −1 when there is none. */
export function fillByteOf(node: Node, pfn: number): number {
  const word = node.kernel.isSameFilled(pfn << 12, PAGE_BYTES);
  return word >= 0 && (word & 0xff) * 0x01010101 === word ? word & 0xff : -1;
}

/**
 * Wakes the flusher, if one runs. It sleeps on the word itself, and clears it before it looks for work: what was made
 * visible before this call is found.
 */
export function wakeFlusher(node: Node): void {
  if (Atomics.load(node.home, L.H_FLUSHER_WAKE) !== 0) return;
  if (Atomics.exchange(node.home, L.H_FLUSHER_WAKE, 1) === 0) Atomics.notify(node.home, L.H_FLUSHER_WAKE);
}
