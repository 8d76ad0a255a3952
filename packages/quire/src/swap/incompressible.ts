/**
 * What becomes of a page that does not get smaller. The mails on kcompressd ask for all three.
 *
 *   keep       its frame becomes its storage (RAW); the demotion clock takes it when it stays idle
 *   demote     RAW, and written to the file tier at once, by the thread that tried to compress it
 *   activate   mapped again, on the active list, so that reclaim looks elsewhere; but kept raw once as many have been made
 *              active in a row as the lists are long, since then there is no elsewhere
 *
 * The measured difference is in docs/decisions.md.
 */
import { LRU_ACTIVE, LRU_INACTIVE } from '../arena/frame.ts';
import { H_INCOMPRESSIBLE, H_INCOMPRESSIBLE_RUN } from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { Pfn } from '../base/units.ts';
import { lruSizeOfAll } from '../reclaim/lru.ts';
import { publishRawLocked, rescueLocked } from './swap-out.ts';

/** By their code in the header. */
export const INCOMPRESSIBLE_POLICIES = ['keep', 'demote', 'activate'] as const;
export type IncompressiblePolicy = (typeof INCOMPRESSIBLE_POLICIES)[number];

/** Before any thread but the owner's runs, or by the owner for pages from then on. */
export function setIncompressible(nodes: readonly Node[], policy: IncompressiblePolicy): void {
  for (const node of nodes) node.words[H_INCOMPRESSIBLE] = INCOMPRESSIBLE_POLICIES.indexOf(policy);
}

export function incompressiblePolicy(node: Node): IncompressiblePolicy {
  return INCOMPRESSIBLE_POLICIES[node.words[H_INCOMPRESSIBLE]];
}

/** The claimed page did not get smaller. True when it is out, as a raw page; else it is mapped again. */
export function publishIncompressibleLocked(node: Node, pfn: Pfn): boolean {
  const { words } = node;
  const policy = incompressiblePolicy(node);
  node.counters[C.zs_incompressible]++;
  if (
    policy === 'activate' &&
    words[H_INCOMPRESSIBLE_RUN] < lruSizeOfAll(node, LRU_INACTIVE) + lruSizeOfAll(node, LRU_ACTIVE)
  ) {
    words[H_INCOMPRESSIBLE_RUN]++;
    node.counters[C.pgactivate]++;
    rescueLocked(node, pfn, 0);
    return false;
  }
  publishRawLocked(node, pfn);
  return true;
}
