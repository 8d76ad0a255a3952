/**
 * Compression of queued pages, in the three phases that swap/swap-out.ts draws: claimed under the lock, compressed without
 * it, published under it. Pages that were queued together as a unit (swap/unit.ts) are claimed and published together.
 */
import { isSequential, KIND_MASK, KIND_QUEUED, turnKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { type Pfn, UNIT_PAGES } from '../base/units.ts';
import { hasDevice } from './file-devices.ts';
import {
  COMPRESS_BATCH,
  claimLocked,
  compressPage,
  isClaimed,
  publishObjectLocked,
  publishRawLocked,
  publishUnitLocked,
} from './swap-out.ts';
import { compressUnit, findQueuedUnitLocked, joinPages } from './unit.ts';
import { UNIT_PAYLOAD_MAX } from './zs-pool.ts';

export class Compressor {
  readonly node: Node;
  /** A page that could not be compressed counts as freed while a file tier can take it. */
  private readonly countsRaw: boolean;
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

  constructor(node: Node, countsRaw: boolean) {
    this.node = node;
    this.countsRaw = countsRaw;
  }

  /** Compresses and publishes those of `frames` that are queued still. Returns the frames freed. */
  run(frames: Int32Array): number {
    let freed = 0;
    for (let at = 0; at < frames.length; ) {
      at = this.claim(frames, at, true);
      this.compress();
      freed += this.publish() + this.runLoose();
    }
    return freed;
  }

  /** Pages of units that came to nothing in the last batch go one by one. Returns the frames freed. */
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
      if (joinsUnits && isSequential(node, pfn) && findQueuedUnitLocked(node, pfn, this.unit)) {
        if (this.count + UNIT_PAGES > COMPRESS_BATCH) break;
        this.spans[this.count] = UNIT_PAGES;
        for (const page of this.unit) this.addLocked(page as Pfn);
      } else {
        this.spans[this.count] = 1;
        this.addLocked(pfn);
      }
    }
    node.unlock();
    return at;
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

  /** Returns the frames freed. */
  publish(): number {
    const { node, spans } = this;
    let freed = 0;
    this.looseCount = 0;
    node.lock();
    for (let i = 0; i < this.count; i += spans[i]) {
      freed += spans[i] === UNIT_PAGES ? this.publishUnitLocked(i) : this.publishPageLocked(i);
    }
    this.count = 0;
    node.unlock();
    return freed;
  }

  private publishPageLocked(i: number): number {
    const { node } = this;
    const pfn = this.pfns[i] as Pfn;
    if (!isClaimed(node, pfn, this.versions[i])) return 0;
    if (this.lengths[i] === 0) {
      publishRawLocked(node, pfn);
      return this.countsRaw && hasDevice(this.node.home) ? 1 : 0;
    }
    return publishObjectLocked(node, pfn, this.places[i], this.lengths[i]) ? 1 : 0;
  }

  /** All four at once, or those that are left of them are queued again, to go one by one. */
  private publishUnitLocked(i: number): number {
    const { node } = this;
    let claimed = 0;
    for (let at = i; at < i + UNIT_PAGES; at++) if (isClaimed(node, this.pfns[at] as Pfn, this.versions[at])) claimed++;
    if (claimed === UNIT_PAGES && publishUnitLocked(node, this.pfns, i, this.places[i], this.lengths[i])) {
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
}
