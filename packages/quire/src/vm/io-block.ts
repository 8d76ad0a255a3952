/**
 * Blocks of node 0 that a caller keeps for input and output: bytes that go from a page to such a block, or back, are
 * copied by the kernel inside one memory. (V8 copies between a shared and another buffer eight bytes at a time,
 * atomically: some 330 ns a KiB against 40.)
 */
import { KIND_THREAD, setKindLocked } from '../arena/frame.ts';
import { MIGRATE_UNMOVABLE } from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { allocFolio, freeFolio } from '../compaction/alloc-folio.ts';
import { needMemory } from './fault.ts';
import type { Memory } from './memory.ts';

/** A block of 2^order frames. Throws ERR_QUIRE_SWAP_FULL or ERR_QUIRE_OUT_OF_MEMORY. */
export function takeIoBlock(memory: Memory, order: number): { pfn: Pfn; bytes: Uint8Array } {
  const node = memory.nodes[0];
  const pfn = allocFolio(memory, 0, order, order, MIGRATE_UNMOVABLE);
  if (pfn === NO_PFN) {
    // Throws when all is full.
    needMemory(memory, 0, 1 << order);
    throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'no contiguous memory for an I/O buffer');
  }
  node.lock();
  setKindLocked(node, pfn, KIND_THREAD, order);
  node.unlock();
  return { pfn, bytes: node.bytes.subarray(pfn * PAGE_BYTES, (pfn + (1 << order)) * PAGE_BYTES) };
}

export function giveIoBlock(memory: Memory, pfn: Pfn): void {
  freeFolio(memory.nodes[0], pfn);
}
