/**
 * What a thread has pinned, noted in its own area of each node, so that whoever buries it can give exactly that back (the
 * kernel's robust futex list is the same for locks). Nobody else reads the notes while the thread lives.
 *
 *   frame    one of eight words, from PIN_NOTES by the frame's number on; a frame pinned twice has two of them
 *   run      first frame and count of a range that was pinned to be seen as one (vm/pin-range.ts)
 *
 * A pin is noted after it took hold and forgotten before it is given up: who dies in between leaves a page resident; never
 * is a pin given back that another thread holds. What finds no place is not noted, and stays pinned likewise.
 */
import { PAGE_WORDS, type Pfn } from '../base/units.ts';
import * as L from './layout.ts';
import type { Node } from './node.ts';

const PLACE_MASK = L.PIN_NOTES - 1;
/** Words looked at for one frame: eight pins are what a map holds at a time, and other frames may have these places. */
const PLACES = 8;
/** Of a view that no thread is bound to: no word is there. */
export const NO_NOTES = -2 * L.PIN_NOTES;

export function notePin(node: Node, pfn: Pfn): void {
  const at = node.pinsAt + (pfn & PLACE_MASK);
  if (node.words[at] === 0) node.words[at] = pfn;
  else replaceNear(node, pfn, 0, pfn);
}

export function forgetPin(node: Node, pfn: Pfn): void {
  const at = node.pinsAt + (pfn & PLACE_MASK);
  if (node.words[at] === pfn) node.words[at] = 0;
  else replaceNear(node, pfn, pfn, 0);
}

function replaceNear(node: Node, pfn: Pfn, from: number, to: number): void {
  if (node.pinsAt === NO_NOTES) return;
  for (let i = 1; i < PLACES; i++) {
    const at = node.pinsAt + ((pfn + i) & PLACE_MASK);
    if (node.words[at] !== from) continue;
    node.words[at] = to;
    return;
  }
}

/** A run of pins in place of one note each. False when there is no room for it: they stay as they are. */
export function noteRun(node: Node, first: Pfn, count: number): boolean {
  const at = findRun(node, 0, 0);
  if (at < 0) return false;
  for (let i = 0; i < count; i++) forgetPin(node, (first + i) as Pfn);
  node.words[at + 1] = count;
  node.words[at] = first;
  return true;
}

/** Called before the run's pins are given up. */
export function forgetRun(node: Node, first: Pfn, count: number): void {
  const at = findRun(node, first, count);
  if (at >= 0) node.words[at] = 0;
}

/** The place of the run, or a free one for 0: runs of several lengths may begin at one frame. */
function findRun(node: Node, first: number, count: number): number {
  if (node.pinsAt === NO_NOTES) return -1;
  const start = node.pinsAt + L.PIN_NOTES;
  for (let at = start; at < start + L.PIN_RUNS * 2; at += 2) {
    if (node.words[at] === first && (first === 0 || node.words[at + 1] === count)) return at;
  }
  return -1;
}

/** Gives back what a dead thread had pinned in this node; `area` is its area's first frame. Returns how many pins. */
export function givePinsBack(node: Node, area: Pfn): number {
  const { words } = node;
  const start = area * PAGE_WORDS + L.AREA_PINS / 4;
  let given = 0;
  const give = (pfn: number): void => {
    Atomics.sub(words, node.pinAt + pfn, 1);
    given++;
  };
  for (let at = start; at < start + L.PIN_NOTES; at++) {
    const pfn = words[at];
    // First: the one who buries may die too.
    words[at] = 0;
    if (pfn !== 0) give(pfn);
  }
  for (let at = start + L.PIN_NOTES; at < start + L.PIN_NOTES + L.PIN_RUNS * 2; at += 2) {
    const first = words[at];
    words[at] = 0;
    if (first !== 0) for (let i = 0; i < words[at + 1]; i++) give(first + i);
  }
  return given;
}
