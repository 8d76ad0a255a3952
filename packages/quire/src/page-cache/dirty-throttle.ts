/**
 * Writers are held up while too much is dirty (balance_dirty_pages), in each node by itself:
 *
 *   dirty + being written     up to the background limit    nothing
 *                             up to the limit               the flusher is woken
 *                             above                         the writer writes a batch itself, or waits for one of another thread
 *
 * A writer is held up for a bounded time, and not at all by a file that cannot be written: its pages stay dirty until memory
 * is full, and then new ones are refused.
 *
 * Reclaim that meets dirty pages (swap/reclaimer.ts) wakes the flusher; direct reclaim also writes a batch, through the hook
 * that `attachFiles` sets. Neither needs a frame, so memory full of dirty pages is no dead end.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { FileIo } from '../base/port.ts';
import { wakeFlusher } from '../swap/reclaimer.ts';
import type { Memory } from '../vm/memory.ts';
import { ensureDirtyLimits, isPaused } from './dirty-limits.ts';
import { fileLockOwner } from './file-lock.ts';
import { findFile } from './open-files.ts';
import { writeSome, wroteSome } from './write-some.ts';
import { NOTHING_TO_WRITE } from './writeback.ts';

/** Linux' MAX_PAUSE, 200 ms, in waits of 10. */
const WAIT_MS = 10;
const ROUNDS_MAX = 20;

/**
 * The thread gets its way to files; its direct reclaim may write them back. Called once a thread, before it opens a file
 * (api) or runs daemons (worker-main).
 */
export function attachFiles(memory: Memory, files: FileIo): void {
  memory.files = files;
  let next = 0;
  memory.writeBack = (n) => {
    const written = writeSome(memory, n, next);
    if (written !== NOTHING_TO_WRITE) next = wroteSome.nextRegion;
    return written > 0;
  };
  memory.isOtherWriting = (n) => isOtherWriting(memory, n);
}

/** Does another thread hold the writeback lock of a file with dirty pages in node n? This one may hold it itself. */
function isOtherWriting(memory: Memory, n: number): boolean {
  const me = memory.nodes[n].thread;
  const isHeld = (words: Int32Array, at: number): boolean => {
    const owner = fileLockOwner(words, at + L.I_WB_LOCK);
    return words[at + L.I_DIRTY_LEAVES + n] !== 0 && owner !== 0 && owner !== me;
  };
  return findFile(memory, 0, isHeld) >= 0;
}

/** After each write of `region`, with no lock but the inode lock held. Cheap while little is dirty: two loads a node. */
export function balanceDirty(memory: Memory, region: number): void {
  const { nodes } = memory;
  for (let n = 0; n < nodes.length; n++) {
    const node = nodes[n];
    const { words } = node;
    if (words[L.H_PC_DIRTY] + words[L.H_PC_WRITEBACK] > words[L.H_DIRTY_BACKGROUND]) balanceNode(memory, node, region);
  }
}

function balanceNode(memory: Memory, node: Node, region: number): void {
  if (!needsThrottle(node)) return;
  node.counters[C.balance_dirty_pages]++;
  node.stalls?.begin();
  try {
    for (let round = 0; round < ROUNDS_MAX && isOverLimit(node); round++) {
      const written = writeSome(memory, node.index, region);
      if (written === 0) return;
      if (written === NOTHING_TO_WRITE && !waitForBatch(memory, node)) return;
    }
  } finally {
    node.stalls?.end();
  }
}

/** As `balanceDirty` for callers that must not block: waits on the flusher, or writes a batch a turn where none runs. */
export async function balanceDirtyAsync(memory: Memory, region: number): Promise<void> {
  for (const node of memory.nodes) {
    const { words } = node;
    if (words[L.H_PC_DIRTY] + words[L.H_PC_WRITEBACK] <= words[L.H_DIRTY_BACKGROUND] || !needsThrottle(node)) continue;
    node.counters[C.balance_dirty_pages]++;
    for (let round = 0; round < ROUNDS_MAX && isOverLimit(node); round++) {
      memory.checkAlive();
      if (Atomics.load(node.home, L.H_FLUSHERS) === 0) {
        if (writeSome(memory, node.index, region) === 0) return;
        await memory.files?.pause(0);
      } else {
        if (!mayBecomeClean(memory, node)) return;
        wakeFlusher(node);
        await memory.files?.pause(WAIT_MS);
      }
    }
  }
}

/** Above the background limit: wakes the flusher. True when the limit itself is passed. */
function needsThrottle(node: Node): boolean {
  ensureDirtyLimits(node);
  const { words } = node;
  const dirty = words[L.H_PC_DIRTY] + words[L.H_PC_WRITEBACK];
  if (dirty <= words[L.H_DIRTY_BACKGROUND]) return false;
  wakeFlusher(node);
  return dirty > words[L.H_DIRTY_LIMIT];
}

function isOverLimit(node: Node): boolean {
  return node.words[L.H_PC_DIRTY] + node.words[L.H_PC_WRITEBACK] > node.words[L.H_DIRTY_LIMIT];
}

/** Another thread has the files: waits until one of its batches is done. False when nothing will become clean by waiting. */
function waitForBatch(memory: Memory, node: Node): boolean {
  if (!mayBecomeClean(memory, node)) return false;
  // Pairs with the notify at the end of a batch; one that is missed costs the time limit.
  Atomics.wait(node.words, L.H_PC_WRITEBACK, Atomics.load(node.words, L.H_PC_WRITEBACK), WAIT_MS);
  return true;
}

/** Is something being written, or waiting for it in a file that was not refused lately? */
function mayBecomeClean(memory: Memory, node: Node): boolean {
  if (Atomics.load(node.words, L.H_PC_WRITEBACK) > 0) return true;
  const now = memory.files?.now() ?? 0;
  const waits = (words: Int32Array, at: number): boolean =>
    words[at + L.I_DIRTY_LEAVES + node.index] !== 0 && !isPaused(words[at + L.I_RETRY_MS], now);
  return findFile(memory, 0, waits) >= 0;
}
