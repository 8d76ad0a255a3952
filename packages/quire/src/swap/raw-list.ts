/**
 * Raw pages of a node in the order in which they left memory, linked through the frame table (`next` towards the younger
 * ones). The demoter (swap/demoter.ts) writes the oldest first, so that pages which left memory one after the other lie in the file one
 * behind the other, whichever threads compressed them and whatever slots and frames they had: who reads them in order reads
 * the file in order, which is what the host's readahead goes by.
 *
 *   published, promoted ──► youngest … oldest ──► to the file
 *                              ▲          │
 *                              └──────────┘ read since (touch)
 *
 * Every frame of kind RAW is on the list, and H_RAW_FRAMES is its length. Node lock held throughout.
 */
import { KIND_MASK, KIND_RAW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';

/** The frame became raw: it is the youngest. */
export function rawAddLocked(node: Node, pfn: Pfn): void {
  const { words } = node;
  assert((words[node.kindAt + pfn] & KIND_MASK) === KIND_RAW, 'frame on the list is raw', pfn);
  const last = words[L.H_RAW_YOUNGEST];
  words[node.nextAt + pfn] = NO_PFN;
  words[node.prevAt + pfn] = last;
  words[last === NO_PFN ? L.H_RAW_OLDEST : node.nextAt + last] = pfn;
  words[L.H_RAW_YOUNGEST] = pfn;
  words[L.H_RAW_FRAMES]++;
}

/** The frame stops being raw. */
export function rawRemoveLocked(node: Node, pfn: Pfn): void {
  const { words } = node;
  const next = words[node.nextAt + pfn];
  const prev = words[node.prevAt + pfn];
  const before = prev === NO_PFN ? L.H_RAW_OLDEST : node.nextAt + prev;
  assert(words[before] === pfn, 'raw frame is on the list', pfn, prev);
  words[before] = next;
  words[next === NO_PFN ? L.H_RAW_YOUNGEST : node.prevAt + next] = prev;
  words[L.H_RAW_FRAMES]--;
}

/** The page at `from` is at `to` from now on, a raw frame that is on no list, and keeps its place. */
export function rawMoveLocked(node: Node, from: Pfn, to: Pfn): void {
  const { words } = node;
  const next = words[node.nextAt + from];
  const prev = words[node.prevAt + from];
  assert((words[node.kindAt + to] & KIND_MASK) === KIND_RAW, 'frame on the list is raw', to, from);
  words[node.nextAt + to] = next;
  words[node.prevAt + to] = prev;
  words[prev === NO_PFN ? L.H_RAW_OLDEST : node.nextAt + prev] = to;
  words[next === NO_PFN ? L.H_RAW_YOUNGEST : node.prevAt + next] = to;
}

/** The oldest, NO_PFN when there is none. */
export function oldestRaw(node: Node): Pfn {
  return node.words[L.H_RAW_OLDEST] as Pfn;
}

/** The one that became raw after it, NO_PFN when that was the youngest. */
export function nextRaw(node: Node, pfn: Pfn): Pfn {
  return node.words[node.nextAt + pfn] as Pfn;
}

/** Walks the list both ways at once; for tests. */
export function checkRawList(node: Node): void {
  const { words } = node;
  let length = 0;
  let prev = NO_PFN;
  for (let pfn = oldestRaw(node); pfn !== NO_PFN; pfn = nextRaw(node, pfn)) {
    assert((words[node.kindAt + pfn] & KIND_MASK) === KIND_RAW, 'frame on the list is raw', pfn);
    assert(words[node.prevAt + pfn] === prev, 'raw frames name each other', pfn, prev);
    assert(++length <= words[L.H_RAW_FRAMES], 'as many raw frames as counted', length);
    prev = pfn;
  }
  assert(words[L.H_RAW_YOUNGEST] === prev, 'youngest raw frame ends the list', prev);
  assert(length === words[L.H_RAW_FRAMES], 'every raw frame is on the list', length, words[L.H_RAW_FRAMES]);
}
