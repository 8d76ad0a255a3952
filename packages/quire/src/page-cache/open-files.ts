/**
 * Files in use, found in the region table by those who have no handle: flusher, reclaim, closing. Read without a lock; what
 * is found is a hint until `tryEnterWriteback` says so (inode.ts).
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { PAGE_WORDS } from '../base/units.ts';
import { regionAt } from '../page-table/page-table.ts';
import type { Memory } from '../vm/memory.ts';

const STATE_USED = 1;

/** Region slots of the files that are open at this moment and have their inode. */
export function openFiles(memory: Memory): number[] {
  const home = memory.nodes[0];
  const files: number[] = [];
  for (let region = 0; region < L.REGIONS_MAX; region++) if (controlAt(home, region) !== 0) files.push(region);
  return files;
}

/**
 * The first open file at or after slot `from`, round the table, that `isWanted` says yes to; −1 when there is none.
 * `isWanted` gets a word index of node 0 where the inode's words begin: they may be another's by now.
 */
export function findFile(memory: Memory, from: number, isWanted: (words: Int32Array, at: number) => boolean): number {
  const home = memory.nodes[0];
  for (let i = 0; i < L.REGIONS_MAX; i++) {
    const region = (from + i) % L.REGIONS_MAX;
    const at = controlAt(home, region);
    if (at !== 0 && isWanted(home.words, at)) return region;
  }
  return -1;
}

/** Word of node 0 at which the inode of the file in this slot begins, 0 when there is none. */
function controlAt(home: Node, region: number): number {
  const { words } = home;
  const at = regionAt(region);
  if (Atomics.load(words, at + L.R_STATE) !== STATE_USED || words[at + L.R_KIND] !== L.REGION_FILE) return 0;
  const control = Atomics.load(words, at + L.R_CONTROL);
  return control > 0 && control < home.frames ? control * PAGE_WORDS : 0;
}
