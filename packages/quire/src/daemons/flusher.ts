/**
 * The flusher: writes dirty pages of files back, a batch a step (fs/fs-writeback.c). What it looks for, in this order:
 *
 *   sync        somebody waits for a file                           what was dirty when it looked, once (page-cache/sync.ts)
 *   reclaim     H_FLUSH_WANTED: reclaim met dirty pages             a batch of that node
 *   background  a node has more dirty pages than its limit          batches until it has not
 *   expiry      every H_DIRTY_WRITEBACK_MS                          leaves that have been dirty for H_DIRTY_EXPIRE_MS
 *
 * It never waits for a lock: what another thread is writing back is passed over, and looked at again soon. A file whose
 * last error is fresh is left alone by all but sync, so a device that refuses does not keep it busy.
 *
 *   runner     step() → false                sleep on H_FLUSHER_WAKE while it is 0, at most sleepMs()
 *   step       H_FLUSHER_WAKE := 0, then look
 *   waker      make the work visible; H_FLUSHER_WAKE 0 → 1: notify
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import type { WordIndex } from '../base/units.ts';
import { dirtyLimits, ensureDirtyLimits, isPaused, msBetween, stampOf } from '../page-cache/dirty-limits.ts';
import { findFile } from '../page-cache/open-files.ts';
import { isSyncWanted, serveSync } from '../page-cache/sync.ts';
import { withWriteback, writeSome, wroteSome } from '../page-cache/write-some.ts';
import { NOTHING_TO_WRITE, writeOldestLeaf } from '../page-cache/writeback.ts';
import type { Memory } from '../vm/memory.ts';
import type { Daemon } from './daemon.ts';

/** Soon enough after another thread's batch, when somebody waits or too much is dirty. */
const RETRY_MS = 10;
/** Longest sleep: a clock that jumps, or an instance that failed, is noticed after this. */
const SLEEP_MS_MAX = 1000;

export class Flusher implements Daemon {
  readonly name = 'flusher';
  private readonly memory: Memory;
  /** Where the search for a file goes on, so that each has its turn. */
  private nextRegion = 0;
  /** Next look for expired leaves. */
  private nextLookMs = 0;
  /** Something is to be done that this step could not do. */
  private hasMore = false;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  step(): boolean {
    const { memory } = this;
    if (memory.files === undefined) return false;
    // Before the look: who makes work visible after it sets the word again.
    Atomics.store(memory.nodes[0].words, L.H_FLUSHER_WAKE, 0);
    this.hasMore = false;
    return this.serveSyncs() || this.serveReclaim() || this.writeBackground() || this.writeExpired(memory.files.now());
  }

  /** How long there will be nothing to do unless somebody wakes it. */
  sleepMs(): number {
    if (this.hasMore) return RETRY_MS;
    const now = this.memory.files?.now() ?? 0;
    return Math.max(1, Math.min(SLEEP_MS_MAX, this.nextLookMs - now));
  }

  private serveSyncs(): boolean {
    const { memory } = this;
    let from = this.nextRegion;
    for (let left = L.REGIONS_MAX; left > 0; ) {
      const region = findFile(memory, from, isSyncWanted);
      if (region < 0) return false;
      // Round the table once.
      left -= ((region - from + L.REGIONS_MAX) % L.REGIONS_MAX) + 1;
      if (left < 0) break;
      from = (region + 1) % L.REGIONS_MAX;
      if (withWriteback(memory, region, (inode) => (serveSync(memory, inode) ? 1 : 0)) === 1) {
        this.nextRegion = from;
        return true;
      }
      this.hasMore = true;
    }
    return false;
  }

  private serveReclaim(): boolean {
    for (const { words, index } of this.memory.nodes) {
      if (Atomics.load(words, L.H_FLUSH_WANTED) === 0) continue;
      Atomics.store(words, L.H_FLUSH_WANTED, 0);
      if (this.writeOne(index)) return true;
    }
    return false;
  }

  private writeBackground(): boolean {
    for (const node of this.memory.nodes) {
      const { words } = node;
      if (words[L.H_PC_DIRTY] === 0) continue;
      ensureDirtyLimits(node);
      if (words[L.H_PC_DIRTY] + words[L.H_PC_WRITEBACK] <= words[L.H_DIRTY_BACKGROUND]) continue;
      if (this.writeOne(node.index)) return true;
    }
    return false;
  }

  private writeOne(n: number): boolean {
    if (writeSome(this.memory, n, this.nextRegion) === NOTHING_TO_WRITE) return false;
    this.nextRegion = wroteSome.nextRegion % L.REGIONS_MAX;
    return true;
  }

  private writeExpired(now: number): boolean {
    if (now < this.nextLookMs) return false;
    const { memory } = this;
    const { expireMs, writebackMs } = dirtyLimits(memory.nodes[0]);
    const isExpired = (node: Node, leaf: WordIndex): boolean =>
      msBetween(node.words[leaf + L.FL_DIRTIED_MS], stampOf(now)) >= expireMs;
    const isDirty = (words: Int32Array, at: number): boolean =>
      Atomics.load(words, at + L.I_DIRTY_PAGES) !== 0 && !isPaused(words[at + L.I_RETRY_MS], now);
    for (let region = 0; region < L.REGIONS_MAX; region++) {
      const found = findFile(memory, region, isDirty);
      if (found < region) break; // none, or round the table
      region = found;
      if (withWriteback(memory, found, (inode) => this.writeExpiredOf(inode, isExpired)) !== NOTHING_TO_WRITE)
        return true;
    }
    this.nextLookMs = now + writebackMs;
    return false;
  }

  private writeExpiredOf(inode: Int32Array, isExpired: (node: Node, leaf: WordIndex) => boolean): number {
    for (let n = 0; n < this.memory.nodes.length; n++) {
      const written = writeOldestLeaf(this.memory, inode, n, isExpired);
      if (written !== NOTHING_TO_WRITE) return written;
    }
    return NOTHING_TO_WRITE;
  }
}
