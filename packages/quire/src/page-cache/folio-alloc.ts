/** Frames for a folio: the one place where the page cache asks for them. */

import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';
import { allocatedOrder, allocFolio } from '../compaction/alloc-folio.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { markChargedLocked, tryChargePages } from '../page-alloc/page-charge.ts';
import { groupOfRegion, hasGroupRoom } from '../reclaim/group.ts';
import { swapFull } from '../swap/device-errors.ts';
import { groupFull, needGroupRoom } from '../vm/group-limit.ts';
import type { Memory } from '../vm/memory.ts';

/**
 * A private folio (kind NEW) of node n, of at most 2^orderWanted and at least 2^orderMin frames; how hard it tries for a
 * large one is the compaction policy's; `allocatedOrder` says what it got. It is charged to nobody before it is published.
 * Throws when all is full, or no block of the minimum order can be made. No node lock held.
 */
export function takeFolio(memory: Memory, n: number, orderWanted: number, orderMin: number): Pfn {
  const pfn = allocFolio(memory, n, orderWanted, orderMin);
  if (pfn !== NO_PFN) return pfn;
  throw folioError(memory, n, orderMin);
}

/** Looks for room, and finds it taken by others: this often in a row is not bad luck. */
const CHARGE_TRIES_MAX = 1000;

/**
 * As `takeFolio`, charged to the group of the file. A group near its limit gets as large a folio as it has room for; it
 * reclaims its own pages for one page only. Throws ERR_QUIRE_OUT_OF_MEMORY too when none of those can go.
 */
export function takeChargedFolio(memory: Memory, n: number, region: number, orderWanted: number): Pfn {
  const node = memory.nodes[n];
  const group = groupOfRegion(node, region);
  for (let attempt = 0; attempt < CHARGE_TRIES_MAX; attempt++) {
    let wanted = orderWanted;
    while (wanted > 0 && !hasGroupRoom(node, group, 1 << wanted)) wanted--;
    if (!hasGroupRoom(node, group, 1 << wanted)) {
      needGroupRoom(memory, group, 1);
      continue;
    }
    const pfn = takeFolio(memory, n, wanted, 0);
    node.lock();
    const isCharged = tryChargePages(node, group, 1 << allocatedOrder.value);
    if (isCharged) markChargedLocked(node, pfn, group);
    else freeLocked(node, pfn);
    node.unlock();
    if (isCharged) return pfn;
  }
  throw groupFull(memory, group);
}

function folioError(memory: Memory, n: number, orderMin: number): QuireError {
  memory.nodes[n].counters[C.swap_full]++;
  if (orderMin > 0) return new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'no contiguous block of memory for a folio');
  if (!memory.hasSwap)
    return new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'the budget is used up by dirty and pinned pages');
  return swapFull(memory.nodes[0].words);
}
