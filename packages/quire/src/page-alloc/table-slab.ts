/**
 * Tables smaller than a frame: leaf page tables and cluster tables (2 KiB), smaller ones of 512 B. A frame of kind
 * TABLE is cut in 2 or 8; the frame table keeps
 * which parts are in use:  owner = bitmap of used parts | size code << 8;  next/prev link the frames that have a part free.
 * Parts come zeroed. A table is named by the word index of its first word.
 */

import { KIND_TABLE } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, PAGE_WORDS, type Pfn, type WordIndex } from '../base/units.ts';
import { allocLocked, freeLocked } from './page-allocator.ts';

export const SLAB_2K = 0;
export const SLAB_512 = 1;
const PARTS = [2, 8];

/** Word index of a zeroed table, 0 when there is no frame. */
export function allocTableLocked(node: Node, size: number, gfp: number): WordIndex {
  const { words } = node;
  const parts = PARTS[size];
  let pfn = words[L.H_SLAB_PARTIAL + size] as Pfn;
  if (pfn === NO_PFN) {
    pfn = allocLocked(node, 0, L.MIGRATE_UNMOVABLE, gfp, KIND_TABLE);
    if (pfn === NO_PFN) return 0 as WordIndex;
    words[L.H_TABLE_FRAMES]++;
    words[node.ownerAt + pfn] = size << 8;
    linkPartial(node, size, pfn);
  }
  const used = words[node.ownerAt + pfn] & 0xff;
  const part = 31 - Math.clz32(~used & (used + 1));
  assert(part >= 0 && part < parts, 'slab part', part, used);
  words[node.ownerAt + pfn] |= 1 << part;
  if ((used | (1 << part)) === (1 << parts) - 1) unlinkPartial(node, size, pfn);
  const at = pfn * PAGE_WORDS + part * (PAGE_WORDS / parts);
  words.fill(0, at, at + PAGE_WORDS / parts);
  return at as WordIndex;
}

export function freeTableLocked(node: Node, size: number, at: WordIndex): void {
  const { words } = node;
  const parts = PARTS[size];
  const pfn = Math.floor(at / PAGE_WORDS) as Pfn;
  const part = (at % PAGE_WORDS) / (PAGE_WORDS / parts);
  const state = words[node.ownerAt + pfn];
  assert(state >> 8 === size && (state & (1 << part)) !== 0, 'slab part in use', at, state);
  if ((state & 0xff) === (1 << parts) - 1) linkPartial(node, size, pfn);
  words[node.ownerAt + pfn] = state & ~(1 << part);
  if ((state & 0xff & ~(1 << part)) !== 0) return;
  unlinkPartial(node, size, pfn);
  words[L.H_TABLE_FRAMES]--;
  freeLocked(node, pfn);
}

/** A whole zeroed frame for a directory, cluster chunk or control block; NO_PFN when there is none. */
export function allocTableFrameLocked(node: Node, gfp: number): Pfn {
  const pfn = allocLocked(node, 0, L.MIGRATE_UNMOVABLE, gfp, KIND_TABLE);
  if (pfn === NO_PFN) return NO_PFN;
  node.words[L.H_TABLE_FRAMES]++;
  node.words.fill(0, pfn * PAGE_WORDS, (pfn + 1) * PAGE_WORDS);
  return pfn;
}

export function freeTableFrameLocked(node: Node, pfn: Pfn): void {
  node.words[L.H_TABLE_FRAMES]--;
  freeLocked(node, pfn);
}

function linkPartial(node: Node, size: number, pfn: Pfn): void {
  const { words } = node;
  const head = words[L.H_SLAB_PARTIAL + size];
  words[node.nextAt + pfn] = head;
  words[node.prevAt + pfn] = 0;
  if (head !== 0) words[node.prevAt + head] = pfn;
  words[L.H_SLAB_PARTIAL + size] = pfn;
}

function unlinkPartial(node: Node, size: number, pfn: Pfn): void {
  const { words } = node;
  const next = words[node.nextAt + pfn];
  const prev = words[node.prevAt + pfn];
  if (prev === 0) words[L.H_SLAB_PARTIAL + size] = next;
  else words[node.nextAt + prev] = next;
  if (next !== 0) words[node.prevAt + next] = prev;
}
