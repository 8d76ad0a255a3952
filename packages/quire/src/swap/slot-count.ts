/**
 * How many page-table entries name a slot. One, almost always, and then nothing is stored. Counts above one, which
 * come from clones of regions, lie in a table beside the cluster's, there only while one of its slots has more than
 * one (after swap_map and its continuation pages; here a count has no largest value).
 *
 *   descriptor word D_COUNTS      0                no slot of the cluster has more than one
 *                                 table            512 bytes: count − 1 of each slot
 *                                 table | WIDE     512 words: the same, once a byte would overflow
 *
 * Tables are parts of slabs, so their word indexes are multiples of 128 and the flag has room. The tables are asked for by
 * `dupSlotLocked` alone and freed by `putSlotLocked`: a cluster that loses its slot table has lost its counts before.
 *
 * All under the node lock. A count tells no reader anything: what is behind a slot does not change with it, until the
 * last reference goes.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { SlotIndex, WordIndex } from '../base/units.ts';
import { allocTableLocked, freeTableLocked, SLAB_2K, SLAB_512 } from '../page-alloc/table-slab.ts';
import { SLOT_FREE } from './slot-word.ts';
import { dropSlotLocked } from './storage.ts';
import { D_COUNTS, descriptorAt, slotWordLocked } from './swap-table.ts';

const WIDE = 1;
const BYTE_MAX = 255;
const INDEX_MASK = L.CLUSTER_SLOTS - 1;
/** Words of a table of bytes. */
const NARROW_WORDS = L.CLUSTER_SLOTS / 4;

/** Entries that name the slot, and the frame whose clean copy it is. */
export function slotCountLocked(node: Node, slot: SlotIndex): number {
  const table = node.words[countsAt(node, slot)];
  return table === 0 ? 1 : 1 + extraOf(node, table, slot & INDEX_MASK);
}

/** Do several entries name the slot? */
export function isSlotSharedLocked(node: Node, slot: SlotIndex): boolean {
  if (!node.isVirtual) return false;
  const table = node.words[countsAt(node, slot)];
  return table !== 0 && extraOf(node, table, slot & INDEX_MASK) > 0;
}

/** One more entry is about to name the slot. False, with nothing changed, when there is no memory for its count. */
export function dupSlotLocked(node: Node, slot: SlotIndex, gfp: number): boolean {
  const { words } = node;
  assert(slotWordLocked(node, slot) !== SLOT_FREE, 'counted slot is in use', slot);
  const at = countsAt(node, slot);
  const index = slot & INDEX_MASK;
  if (words[at] === 0) {
    words[at] = allocTableLocked(node, SLAB_512, gfp);
    if (words[at] === 0) return false;
  }
  if ((words[at] & WIDE) === 0 && node.bytes[words[at] * 4 + index] === BYTE_MAX && !widenLocked(node, at, gfp)) {
    return false;
  }
  const table = words[at];
  if ((table & WIDE) === 0) node.bytes[table * 4 + index]++;
  else words[table - WIDE + index]++;
  words[L.H_SLOT_DUPS]++;
  return true;
}

/** An entry names the slot no more. With the last one slot and storage go. Returns how many are left. */
export function putSlotLocked(node: Node, slot: SlotIndex): number {
  if (isSlotSharedLocked(node, slot)) return putReferenceLocked(node, slot);
  dropSlotLocked(node, slot);
  return 0;
}

/** One of several entries names the slot no more. Returns how many are left. */
export function putReferenceLocked(node: Node, slot: SlotIndex): number {
  const { words } = node;
  const at = countsAt(node, slot);
  const table = words[at];
  const index = slot & INDEX_MASK;
  const extra = extraOf(node, table, index);
  assert(table !== 0 && extra > 0, 'several entries name the slot', slot, extra);
  if ((table & WIDE) === 0) node.bytes[table * 4 + index] = extra - 1;
  else words[table - WIDE + index] = extra - 1;
  words[L.H_SLOT_DUPS]--;
  if (extra === 1 && isUnused(words, table, index)) {
    words[at] = 0;
    freeCounts(node, table);
  }
  return extra;
}

function countsAt(node: Node, slot: SlotIndex): number {
  return descriptorAt(node, slot >>> 9) + D_COUNTS;
}

function extraOf(node: Node, table: number, index: number): number {
  return (table & WIDE) === 0 ? node.bytes[table * 4 + index] : node.words[table - WIDE + index];
}

/** From bytes to words. */
function widenLocked(node: Node, at: number, gfp: number): boolean {
  const { words } = node;
  const narrow = words[at];
  const wide = allocTableLocked(node, SLAB_2K, gfp);
  if (wide === 0) return false;
  for (let i = 0; i < L.CLUSTER_SLOTS; i++) words[wide + i] = node.bytes[narrow * 4 + i];
  words[at] = wide | WIDE;
  freeCounts(node, narrow);
  return true;
}

function freeCounts(node: Node, table: number): void {
  if ((table & WIDE) === 0) freeTableLocked(node, SLAB_512, table as WordIndex);
  else freeTableLocked(node, SLAB_2K, (table - WIDE) as WordIndex);
}

/**
 * Has no slot of the cluster more than one? Looked at from `index` on: pages of a clone are given up in ascending order,
 * so the next one tells, until the last.
 */
function isUnused(words: Int32Array, table: number, index: number): boolean {
  const isWide = (table & WIDE) !== 0;
  const length = isWide ? L.CLUSTER_SLOTS : NARROW_WORDS;
  const start = isWide ? index : index >>> 2;
  const base = isWide ? table - WIDE : table;
  for (let step = 0; step < length; step++) if (words[base + ((start + step) & (length - 1))] !== 0) return false;
  return true;
}

/** Adds up all counts of the node, and that they are those of used slots; for tests. Returns the references beyond the first. */
export function checkSlotCounts(node: Node): number {
  let total = 0;
  for (let root = 0; root < L.CLUSTER_ROOTS; root++) {
    if (node.words[L.CLUSTER_ROOTS_AT + root] === 0) continue;
    for (let index = 0; index < L.CLUSTER_CHUNK; index++) {
      const cluster = root * L.CLUSTER_CHUNK + index;
      const table = node.words[descriptorAt(node, cluster) + D_COUNTS];
      let sum = 0;
      for (let i = 0; table !== 0 && i < L.CLUSTER_SLOTS; i++) {
        const extra = extraOf(node, table, i);
        const slot = ((cluster << 9) | i) as SlotIndex;
        assert(extra === 0 || slotWordLocked(node, slot) !== SLOT_FREE, 'counted slot is in use', slot, extra);
        sum += extra;
      }
      assert((table !== 0) === sum > 0, 'counts exist with what they count', cluster, sum);
      total += sum;
    }
  }
  assert(total === node.words[L.H_SLOT_DUPS], 'references beyond the first', total, node.words[L.H_SLOT_DUPS]);
  return total;
}
