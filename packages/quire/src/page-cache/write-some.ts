/**
 * A batch of whatever file has dirty pages in a node: for the flusher, for writers over the limit, and for reclaim. Nobody
 * waits for a lock here: a file that is being written back, and one whose last error is fresh, is passed over.
 */
import * as L from '../arena/layout.ts';
import { wakeFlusher } from '../swap/reclaimer.ts';
import type { Memory } from '../vm/memory.ts';
import { isPaused } from './dirty-limits.ts';
import { tryEnterWriteback, unlockWriteback } from './inode.ts';
import { findFile } from './open-files.ts';
import { isSyncWanted } from './sync.ts';
import { ANY_LEAF, type LeafChoice, NOTHING_TO_WRITE, writeOldestLeaf } from './writeback.ts';

/** Files looked at in one call: more than this many that are locked, or have nothing after all, are bad luck. */
const FILES_MAX = 16;

/** What a call did, and which file comes next. Read at once. */
export const wroteSome = { nextRegion: 0 };

/**
 * Writes a batch of node n back, of the first file at or after slot `from` of the region table that lets itself be written
 * and has a leaf that `choice` takes. Returns the pages written, 0 when the system refused, NOTHING_TO_WRITE.
 */
export function writeSome(memory: Memory, n: number, from: number, choice: LeafChoice = ANY_LEAF): number {
  const { files } = memory;
  if (files === undefined) return NOTHING_TO_WRITE;
  const now = files.now();
  const isCandidate = (words: Int32Array, at: number): boolean =>
    words[at + L.I_DIRTY_LEAVES + n] !== 0 &&
    Atomics.load(words, at + L.I_WB_LOCK) === 0 &&
    !isPaused(words[at + L.I_RETRY_MS], now);
  let start = from;
  for (let tries = 0; tries < FILES_MAX; tries++) {
    const region = findFile(memory, start, isCandidate);
    if (region < 0) return NOTHING_TO_WRITE;
    start = region + 1;
    const written = withWriteback(memory, region, (inode) => writeOldestLeaf(memory, inode, n, choice));
    wroteSome.nextRegion = start;
    if (written !== NOTHING_TO_WRITE) return written;
  }
  return NOTHING_TO_WRITE;
}

/** Runs `work` with the file's writeback lock, if there is a file in this slot and the lock is free. */
export function withWriteback(memory: Memory, region: number, work: (inode: Int32Array) => number): number {
  const inode = tryEnterWriteback(memory, region);
  if (inode === undefined) return NOTHING_TO_WRITE;
  let isWanted = false;
  try {
    return work(inode);
  } finally {
    // Before the lock goes: without it, and without a handle, the inode may be gone.
    isWanted = isSyncWanted(inode, 0);
    unlockWriteback(inode, memory.nodes[0].thread);
    if (isWanted) wakeFlusher(memory.nodes[0]);
  }
}
