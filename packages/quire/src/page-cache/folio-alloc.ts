/** Frames for a folio: the one place where the page cache asks for them. */

import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';
import { allocFolio } from '../compaction/alloc-folio.ts';
import type { Memory } from '../vm/memory.ts';

/**
 * A private folio (kind NEW) of node n, of at most 2^orderWanted and at least 2^orderMin frames; how hard it tries for a
 * large one is the compaction policy's; `allocatedOrder` says what it got. Throws when all is full, or no block of the minimum order can be made. No node lock
 * held.
 */
export function takeFolio(memory: Memory, n: number, orderWanted: number, orderMin: number): Pfn {
  const pfn = allocFolio(memory, n, orderWanted, orderMin);
  if (pfn !== NO_PFN) return pfn;
  memory.nodes[n].counters[C.swap_full]++;
  if (orderMin > 0) throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'no contiguous block of memory for a folio');
  if (!memory.hasSwap)
    throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'the budget is used up by dirty and pinned pages');
  throw new QuireError('ERR_QUIRE_SWAP_FULL', 'the budget and every swap tier are full');
}
