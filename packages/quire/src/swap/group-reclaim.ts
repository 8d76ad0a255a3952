/**
 * Reclaim at a group's limit (try_to_free_mem_cgroup_pages): a thread that was refused a page takes pages of the same group,
 * from its lists alone, on the node where it has most first, in bounded rounds. Pages of other groups stay where
 * they are. What counts is the group's own figure: a frame freed, or a page kept raw, which is swapped from then on.
 */
import { LRU_ACTIVE, LRU_INACTIVE } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { hasGroupRoom } from '../reclaim/group.ts';
import { lruBlockAt, lruSize } from '../reclaim/lru.ts';
import { type Quest, ROUND_GAINED, ROUND_LOOKED, ROUND_NOTHING, reclaimUntil } from './reclaim-loop.ts';
import type { Reclaimer } from './reclaimer.ts';

/** True once the group may have `pages` more. */
export function reclaimGroup(reclaimers: readonly Reclaimer[], group: number, pages: number): boolean {
  return hasGroupRoom(reclaimers[0].node, group, pages) || reclaimUntil(new GroupQuest(reclaimers, group, pages));
}

class GroupQuest implements Quest {
  readonly words: Int32Array;
  private readonly reclaimers: readonly Reclaimer[];
  private readonly group: number;
  private readonly pages: number;
  private first: number;
  /** Nodes whose sweep was vain, from `first` on. */
  private done = 0;

  constructor(reclaimers: readonly Reclaimer[], group: number, pages: number) {
    this.words = reclaimers[0].node.words;
    this.reclaimers = reclaimers;
    this.group = group;
    this.pages = pages;
    this.first = largestNode(reclaimers, group);
    for (const each of reclaimers) each.beginGroupSweep();
  }

  round(): number {
    const { reclaimers } = this;
    const outcome = reclaimers[(this.first + this.done) % reclaimers.length].groupRound(this.group);
    if (outcome === ROUND_NOTHING && ++this.done < reclaimers.length) return ROUND_LOOKED;
    if (outcome !== ROUND_NOTHING && outcome !== ROUND_GAINED) return outcome;
    this.first = largestNode(reclaimers, this.group);
    this.done = 0;
    return outcome;
  }

  hasRoom(): boolean {
    return hasGroupRoom(this.reclaimers[0].node, this.group, this.pages);
  }

  waitForFiles(outcome: number): boolean {
    if (outcome !== ROUND_NOTHING) return false;
    return this.reclaimers.some((each) => each.isHeldByFiles && each.waitForWriteback());
  }

  workOfOthers(): number {
    const inflightAt = lruBlockAt(this.group) + L.LB_INFLIGHT;
    let pages = 0;
    for (const each of this.reclaimers) pages += each.node.words[inflightAt];
    return pages;
  }
}

/** One round on each node until one gains, that with most of the group first. False when none did. */
export function reclaimGroupOnce(reclaimers: readonly Reclaimer[], group: number): boolean {
  const first = largestNode(reclaimers, group);
  return reclaimers.some((_, i) => {
    const reclaimer = reclaimers[(first + i) % reclaimers.length];
    reclaimer.beginGroupSweep();
    return reclaimer.groupRound(group) === ROUND_GAINED;
  });
}

/** Where the group has most pages. */
function largestNode(reclaimers: readonly Reclaimer[], group: number): number {
  let largest = 0;
  for (let n = 1; n < reclaimers.length; n++) {
    if (pagesOnLists(reclaimers[n].node, group) > pagesOnLists(reclaimers[largest].node, group)) largest = n;
  }
  return largest;
}

/** Read without the lock: a hint. */
function pagesOnLists(node: Node, group: number): number {
  const block = lruBlockAt(group);
  return lruSize(node, block, LRU_INACTIVE) + lruSize(node, block, LRU_ACTIVE);
}
