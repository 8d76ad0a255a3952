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
import { pauseForOthers, waitForWriteback } from './direct-reclaim.ts';
import { GROUP_GAINED, GROUP_LOOKED, GROUP_NOTHING, type Reclaimer } from './reclaimer.ts';

/** Rounds since the last gain that found nothing on any node, nothing in flight: nothing of the group can go. */
const IDLE_ROUNDS_MAX = 2;
/** Rounds that wait for pages of the group in flight with other threads, and for files being written back (as in direct-reclaim.ts). */
const WAITING_ROUNDS_MAX = 1000;
const WRITEBACK_WAITS_MAX = 1000;
const ROUNDS_MAX = 4096;

/** True once the group may have `pages` more. */
export function reclaimGroup(reclaimers: readonly Reclaimer[], group: number, pages: number): boolean {
  const [{ node }] = reclaimers;
  let first = largestNode(reclaimers, group);
  /** Nodes that have nothing more to give, from `first` on. */
  let done = 0;
  let idle = 0;
  let waited = 0;
  let waitedForFiles = 0;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (hasGroupRoom(node, group, pages)) return true;
    const outcome = reclaimers[(first + done) % reclaimers.length].groupRound(group);
    if (outcome === GROUP_LOOKED) continue;
    if (outcome === GROUP_NOTHING && ++done < reclaimers.length) continue;
    first = largestNode(reclaimers, group);
    done = 0;
    if (outcome === GROUP_GAINED) {
      idle = 0;
      continue;
    }
    if (waitedForFiles < WRITEBACK_WAITS_MAX && waitForFiles(reclaimers)) {
      waitedForFiles++;
      continue;
    }
    const isOthersAtWork = reclaimers.some((each) => each.node.words[lruBlockAt(group) + L.LB_INFLIGHT] > 0);
    if (!isOthersAtWork && ++idle >= IDLE_ROUNDS_MAX) break;
    if (!isOthersAtWork) continue;
    if (++waited > WAITING_ROUNDS_MAX) break;
    pauseForOthers(node.words);
  }
  return hasGroupRoom(node, group, pages);
}

/** One round on each node until one gains, that with most of the group first. False when none did. */
export function reclaimGroupOnce(reclaimers: readonly Reclaimer[], group: number): boolean {
  const first = largestNode(reclaimers, group);
  return reclaimers.some((_, i) => reclaimers[(first + i) % reclaimers.length].groupRound(group) === GROUP_GAINED);
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

function waitForFiles(reclaimers: readonly Reclaimer[]): boolean {
  return reclaimers.some((each) => each.isHeldByFiles && waitForWriteback(each.node.words));
}
