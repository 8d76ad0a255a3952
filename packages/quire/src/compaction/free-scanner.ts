/**
 * Where moved frames go: into the smallest free blocks, which are of the least use, and above the block that is being
 * emptied if there are any, so that what is in use gathers at the top (fast_isolate_freepages). Blocks as large as those
 * wanted are never broken for it: they are what is to be made.
 *
 * The kernel's free scanner also walks the frames from the top down. With little free memory that walk is what compaction
 * costs: 8,300 frames a block were measured on a node of 192 MiB. The free lists know where the free blocks are.
 */
import { KIND_NEW, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';
import { listAt, takeFrontLocked } from '../page-alloc/buddy.ts';

/** Blocks of one list looked at for one that lies high enough. */
const LOOKS_MAX = 8;

export class FreeScanner {
  /** Blocks looked at. */
  scanned = 0;
  private readonly node: Node;
  private readonly order: number;
  private readonly types: readonly number[];

  /** For making blocks of 2^order. In pageblocks of the other type only where `mayMix`. */
  constructor(node: Node, order: number, mayMix: boolean) {
    this.node = node;
    this.order = order;
    this.types = mayMix ? [L.MIGRATE_MOVABLE, L.MIGRATE_UNMOVABLE] : [L.MIGRATE_MOVABLE];
  }

  /** A private block (NEW) of 2^order frames, NO_PFN when there is none. What is being emptied is on no list. */
  takeLocked(order: number, above: number): Pfn {
    const { node } = this;
    const pfn = this.findLocked(order, above);
    if (pfn === NO_PFN) return NO_PFN;
    takeFrontLocked(node, pfn, order);
    node.words[L.H_FREE_FRAMES] -= 1 << order;
    setKindLocked(node, pfn, KIND_NEW, order);
    node.words[node.prevAt + pfn] = node.thread;
    return pfn;
  }

  /** Frames in the blocks it may use that are at least of order `from`. */
  framesLocked(from: number): number {
    let frames = 0;
    for (const type of this.types) {
      for (let order = from; order < this.order; order++) frames += this.node.words[listAt(type, order) + 1] << order;
    }
    return frames;
  }

  private findLocked(order: number, above: number): Pfn {
    const { words, nextAt } = this.node;
    for (const type of this.types) {
      for (let from = order; from < this.order; from++) {
        const first = words[listAt(type, from)];
        if (first === 0) continue;
        let found = first;
        for (let looks = 0; looks < LOOKS_MAX && found !== 0 && found < above; looks++) {
          found = words[nextAt + found];
          this.scanned++;
        }
        this.scanned++;
        return (found === 0 || found < above ? first : found) as Pfn;
      }
    }
    return NO_PFN;
  }
}
