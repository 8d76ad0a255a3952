/**
 * Compression of queued pages, in the three phases that swap/swap-out.ts draws: claimed under the lock, compressed without
 * it, published under it, which frees their frames: no second scan has to come by. Pages that were queued together as a
 * unit (swap/unit.ts) are claimed and published together. A batch takes the lock twice, whether its pages come from the
 * ring or from this thread's own scan.
 */
import { isSequential, KIND_MASK, KIND_QUEUED, turnKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, type Pfn, UNIT_PAGES } from '../base/units.ts';
import { hasDevice } from './file-devices.ts';
import { publishIncompressibleLocked } from './incompressible.ts';
import { ringDropLocked, ringPeekLocked } from './ring.ts';
import {
  COMPRESS_BATCH,
  claimLocked,
  compressPage,
  isClaimed,
  publishObjectLocked,
  publishUnitLocked,
} from './swap-out.ts';
import { compressUnit, findQueuedUnitLocked, joinPages } from './unit.ts';
import { UNIT_PAYLOAD_MAX } from './zs-pool.ts';

export class Compressor {
  readonly node: Node;
  /** A page that could not be compressed counts as progress while a file tier can take it. */
  private readonly countsRaw: boolean;
  /** Frames that became raw pages in the batch just published. */
  private readonly raw = new Int32Array(COMPRESS_BATCH);
  private rawCount = 0;
  /** Hands raw pages down at once, where that is wanted. No lock is held. */
  demoteRaw: ((pfns: Int32Array) => void) | undefined;
  private readonly pfns = new Int32Array(COMPRESS_BATCH);
  private readonly versions = new Int32Array(COMPRESS_BATCH);
  /** Of the page, or of the unit that begins with it; 0 for incompressible. */
  private readonly lengths = new Int32Array(COMPRESS_BATCH);
  private readonly places = new Int32Array(COMPRESS_BATCH);
  /** UNIT_PAGES where a unit begins, else 1. */
  private readonly spans = new Int32Array(COMPRESS_BATCH);
  private count = 0;
  private readonly unit = new Int32Array(UNIT_PAGES);
  /** Pages of units that came to nothing, queued again. */
  private readonly loose = new Int32Array(COMPRESS_BATCH);
  private looseCount = 0;
  /** Frames freed, and pages taken from the ring, since the last `take…`. */
  private freed = 0;
  private taken = 0;
  /** Pages kept raw since `takeRaw`. */
  private madeRaw = 0;

  constructor(node: Node, countsRaw: boolean) {
    this.node = node;
    this.countsRaw = countsRaw;
  }

  /** Compresses and publishes those of `frames` that are queued still. Returns how many pages that was progress for. */
  run(frames: Int32Array): number {
    let progress = 0;
    for (let at = 0; at < frames.length; ) {
      at = this.claim(frames, at, true);
      progress += this.finish();
    }
    return progress;
  }

  /** As `run`, with up to `limit` pages from the ring, at most a batch. */
  runRing(limit: number): number {
    this.claimRing(Math.min(limit, COMPRESS_BATCH));
    return this.count === 0 ? 0 : this.finish();
  }

  private finish(): number {
    this.compress();
    let progress = this.publish();
    this.handDown();
    progress += this.runLoose();
    this.handDown();
    return progress;
  }

  private handDown(): void {
    if (this.rawCount > 0) this.demoteRaw?.(this.raw.subarray(0, this.rawCount));
    this.rawCount = 0;
  }

  /** Pages of units that came to nothing in the last batch go one by one. */
  runLoose(): number {
    if (this.looseCount === 0) return 0;
    this.claim(this.loose.subarray(0, this.looseCount), 0, false);
    this.compress();
    return this.publish();
  }

  /** Claims from `frames[from]` on as many as a batch holds. Returns where to go on. */
  claim(frames: Int32Array, from: number, joinsUnits: boolean): number {
    const { node } = this;
    let at = from;
    this.count = 0;
    node.lock();
    for (; at < frames.length && this.count < COMPRESS_BATCH; at++) {
      const pfn = frames[at] as Pfn;
      if ((node.words[node.kindAt + pfn] & KIND_MASK) !== KIND_QUEUED) continue; // rescued, discarded, or claimed with its unit
      if (!this.claimOneLocked(pfn, joinsUnits)) break;
    }
    node.unlock();
    return at;
  }

  /** Takes and claims pages from the ring, in one hold of the lock. */
  claimRing(limit: number): void {
    const { node } = this;
    this.count = 0;
    node.lock();
    while (this.count < limit) {
      const pfn = ringPeekLocked(node);
      if (pfn === NO_PFN || !this.claimOneLocked(pfn, true)) break;
      ringDropLocked(node);
    }
    node.unlock();
    this.taken += this.count;
  }

  /** The queued page, or its unit. False when that does not fit the batch. */
  private claimOneLocked(pfn: Pfn, joinsUnits: boolean): boolean {
    const { node } = this;
    if (joinsUnits && isSequential(node, pfn) && findQueuedUnitLocked(node, pfn, this.unit)) {
      if (this.count + UNIT_PAGES > COMPRESS_BATCH) return false;
      this.spans[this.count] = UNIT_PAGES;
      for (const page of this.unit) this.addLocked(page as Pfn);
    } else {
      this.spans[this.count] = 1;
      this.addLocked(pfn);
    }
    return true;
  }

  private addLocked(pfn: Pfn): void {
    const isOurs = claimLocked(this.node, pfn);
    assert(isOurs, 'queued page is claimed', pfn);
    this.versions[this.count] = this.node.words[this.node.versionAt + pfn];
    this.pfns[this.count++] = pfn;
  }

  compress(): void {
    const { node, lengths, places, spans } = this;
    let target = node.takeStaging() | 0;
    const end = (target + L.AREA_STAGING_BYTES) | 0;
    for (let i = 0; i < this.count; i += spans[i]) {
      if (spans[i] === UNIT_PAGES) {
        lengths[i] = compressUnit(node, joinPages(node, this.pfns, i), target, UNIT_PAYLOAD_MAX);
        if (lengths[i] === 0) {
          node.counters[C.thp_swpout_fallback]++;
          spans.fill(1, i, i + UNIT_PAGES);
        }
      }
      if (spans[i] === 1) lengths[i] = compressPage(node, this.pfns[i], target);
      places[i] = target;
      target = (target + lengths[i] + 15) & ~15;
      assert(((end - target) | 0) >= 0, 'batch fits the staging buffer', i, target);
    }
  }

  /** Returns how many pages are out, their frames free or, where a file tier will take them, raw. */
  publish(): number {
    const { node, spans } = this;
    let progress = 0;
    this.looseCount = 0;
    this.rawCount = 0;
    node.lock();
    for (let i = 0; i < this.count; i += spans[i]) {
      progress += spans[i] === UNIT_PAGES ? this.publishUnitLocked(i) : this.publishPageLocked(i);
    }
    this.count = 0;
    node.unlock();
    return progress;
  }

  private publishPageLocked(i: number): number {
    const { node } = this;
    const pfn = this.pfns[i] as Pfn;
    if (!isClaimed(node, pfn, this.versions[i])) return 0;
    if (this.lengths[i] === 0) {
      if (!publishIncompressibleLocked(node, pfn)) return 0;
      this.raw[this.rawCount++] = pfn;
      this.madeRaw++;
      return this.countsRaw && hasDevice(this.node.home) ? 1 : 0;
    }
    node.words[L.H_INCOMPRESSIBLE_RUN] = 0;
    if (!publishObjectLocked(node, pfn, this.places[i], this.lengths[i])) return 0;
    this.freed++;
    return 1;
  }

  /** All four at once, or those that are left of them are queued again, to go one by one. */
  private publishUnitLocked(i: number): number {
    const { node } = this;
    let claimed = 0;
    for (let at = i; at < i + UNIT_PAGES; at++) if (isClaimed(node, this.pfns[at] as Pfn, this.versions[at])) claimed++;
    if (claimed === UNIT_PAGES && publishUnitLocked(node, this.pfns, i, this.places[i], this.lengths[i])) {
      this.freed += UNIT_PAGES;
      return UNIT_PAGES;
    }
    node.counters[C.thp_swpout_fallback]++;
    for (let at = i; at < i + UNIT_PAGES; at++) {
      const pfn = this.pfns[at] as Pfn;
      if (!isClaimed(node, pfn, this.versions[at])) continue;
      turnKindLocked(node, pfn, KIND_QUEUED);
      this.loose[this.looseCount++] = pfn;
    }
    return 0;
  }

  /** Frames freed since this was last asked. */
  takeFreed(): number {
    const { freed } = this;
    this.freed = 0;
    return freed;
  }

  /** Pages kept raw since this was last asked. */
  takeRaw(): number {
    const { madeRaw } = this;
    this.madeRaw = 0;
    return madeRaw;
  }

  /** Pages taken from the ring since this was last asked. */
  takeTaken(): number {
    const { taken } = this;
    this.taken = 0;
    return taken;
  }
}
