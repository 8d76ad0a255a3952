/** The counts of the groups against a walk over all frames and slots, O(everything): for tests, and for `close`. No thread may be at work. */
import {
  FRAME_CHARGED,
  FRAME_GROUP_MASK,
  groupOf,
  KIND_COMPRESSING,
  KIND_MASK,
  KIND_NEW,
  KIND_PAGECACHE,
  KIND_QUEUED,
  KIND_REGION,
  KIND_SHARED,
  orderOf,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { Pfn } from '../base/units.ts';
import { regionAt } from '../page-table/page-table.ts';
import { DEFAULT_GROUP, GROUP_RESERVE_PAGES, groupAt, groupOfRegion } from '../reclaim/group.ts';
import { isGroupUsed } from '../reclaim/group-table.ts';
import { lruBlockAt } from '../reclaim/lru.ts';
import { checkSwapTable } from '../swap/swap-check.ts';

/** Throws AssertionError when a count is wrong, or a frame is charged that should not be. */
export function checkGroups(nodes: readonly Node[]): void {
  const pages = new Array<number>(L.GROUPS_MAX).fill(0);
  const regions = new Array<number>(L.GROUPS_MAX).fill(0);
  const slots = new Array<number>(L.GROUPS_MAX).fill(0);
  for (const node of nodes) {
    countFrames(node, pages);
    for (const [group, used] of checkSwapTable(node).entries()) slots[group] += used;
  }
  const [home] = nodes;
  for (let region = 0; region < L.REGIONS_MAX; region++) {
    if (home.words[regionAt(region) + L.R_STATE] !== 0) regions[groupOfRegion(home, region)]++;
  }
  for (let group = 0; group < L.GROUPS_MAX; group++) {
    const at = groupAt(group);
    const charged = home.words[at + L.G_PAGES];
    assert(charged === pages[group], 'pages of a group and frames charged to it', group, charged - pages[group]);
    assert(charged <= home.words[at + L.G_PEAK_PAGES], 'peak of a group', group, charged);
    assert(home.words[at + L.G_USES] >= regions[group], 'uses of a group', group, regions[group]);
    const swapped = home.words[at + L.G_SWAP_PAGES];
    assert(swapped === slots[group], 'slots of a group and those charged to it', group, swapped - slots[group]);
  }
  assert(isGroupUsed(home, DEFAULT_GROUP), 'the default group is always there');
}

/** Is the group within its limit, but for what pins and the reserve may take? */
export function isWithinLimit(node: Node, group: number): boolean {
  const limit = node.home[groupAt(group) + L.G_LIMIT_PAGES];
  return limit === 0 || node.home[groupAt(group) + L.G_PAGES] <= limit - 1 + GROUP_RESERVE_PAGES;
}

function countFrames(node: Node, pages: number[]): void {
  const inFlight = new Array<number>(L.GROUPS_MAX).fill(0);
  for (let pfn = node.firstFree as Pfn; pfn < node.frames; pfn++) {
    const word = node.words[node.kindAt + pfn];
    const isCharged = (word & FRAME_CHARGED) !== 0;
    if (isCharged) pages[groupOf(node, pfn as Pfn)] += 1 << orderOf(node, pfn as Pfn);
    else assert((word & FRAME_GROUP_MASK) === 0, 'frame of a group is charged to it', pfn, word);
    const kind = word & KIND_MASK;
    if (kind === KIND_QUEUED || kind === KIND_COMPRESSING) inFlight[groupOf(node, pfn as Pfn)]++;
    // Private frames may be charged already.
    if (kind !== KIND_NEW) assert(isCharged === isResident(kind), 'what is resident is charged', pfn, word);
  }
  for (const [group, count] of inFlight.entries()) {
    const noted = node.words[lruBlockAt(group) + L.LB_INFLIGHT];
    assert(noted === count, 'pages of a group in flight', group, noted - count);
  }
}

const RESIDENT_KINDS = [KIND_REGION, KIND_SHARED, KIND_QUEUED, KIND_COMPRESSING, KIND_PAGECACHE];

function isResident(kind: number): boolean {
  return RESIDENT_KINDS.includes(kind);
}
