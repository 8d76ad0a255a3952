/** A frame takes another's place on a doubly linked list of the frame table. */
import type { Node } from '../arena/node.ts';

/** `headAt` is the word of the list's first frame, `tailAt` that of its last, 0 when the list keeps none. */
export function relinkLocked(node: Node, from: number, to: number, headAt: number, tailAt: number): void {
  const { words, nextAt, prevAt } = node;
  const next = words[nextAt + from];
  const prev = words[prevAt + from];
  words[nextAt + to] = next;
  words[prevAt + to] = prev;
  if (prev === 0) words[headAt] = to;
  else words[nextAt + prev] = to;
  if (next !== 0) words[prevAt + next] = to;
  else if (tailAt !== 0) words[tailAt] = to;
}
