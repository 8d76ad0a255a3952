/**
 * A file's address space as one thread sees it: from a byte position to node, leaf and folio. Leaves are remembered (a
 * TLB) under the region's generation, as vm/region-space.ts does. `seek` sets the public fields; they hold until the next
 * `seek`, so nothing is allocated on the way.
 */
import { headOf, tryPin, unpin } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromFolioPte, isPresent, orderFromPte, PTE_NONE } from '../arena/pte.ts';
import { QuireError } from '../base/errors.ts';
import type { FileIo } from '../base/port.ts';
import { CHUNK_BYTES, NO_PFN, PAGE_BYTES, type Pfn, type WordIndex } from '../base/units.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import type { Memory } from '../vm/memory.ts';

/** Leaves remembered a handle and thread: 256 chunks of 2 MiB, half a gigabyte without a walk. */
const TLB_ENTRIES = 256;

export class FileMap {
  readonly memory: Memory;
  readonly region: number;
  readonly inode: Int32Array;
  readonly files: FileIo;
  readonly nodes: readonly Node[];
  /** This thread's id. */
  readonly me: number;
  /** FileSpaceOptions.naiveWalk */
  readonly naiveWalk: boolean;

  /* Of the last `seek`. */
  n = 0;
  node: Node;
  /** The node's own number of the chunk. */
  local = 0;
  /** Page in the chunk, byte in the chunk. */
  page = 0;
  inChunk = 0;
  /** 0 when there is none. */
  leaf = 0 as WordIndex;

  /* Of the last `pinFolio`. */
  pfn: Pfn = NO_PFN;
  order = 0;

  private readonly home: Int32Array;
  private readonly nodeCount: number;
  private readonly generationAt: number;
  private generation = 0;
  private readonly tlbChunks = new Int32Array(TLB_ENTRIES).fill(-1);
  private readonly tlbLeaves = new Int32Array(TLB_ENTRIES);
  private tlbGeneration = -1;
  private isClosed = false;

  constructor(memory: Memory, region: number, inode: Int32Array, naiveWalk = false) {
    this.naiveWalk = naiveWalk;
    if (memory.files === undefined) throw new QuireError('ERR_QUIRE_UNSUPPORTED', 'this thread has no file access');
    this.memory = memory;
    this.region = region;
    this.inode = inode;
    this.files = memory.files;
    this.nodes = memory.nodes;
    this.node = memory.nodes[0];
    this.me = memory.nodes[0].thread;
    this.home = memory.nodes[0].words;
    this.nodeCount = memory.nodes.length;
    this.generationAt = regionAt(region) + L.R_GENERATION;
  }

  /** Where the byte is: node, chunk, page, and the leaf if there is one. */
  seek(position: number): void {
    // Kept small integers: a field that once held a double is boxed for ever.
    const chunk = Math.floor(position / CHUNK_BYTES) | 0;
    this.inChunk = (position - chunk * CHUNK_BYTES) | 0;
    this.page = this.inChunk >>> 12;
    if (this.nodeCount === 1) this.local = chunk;
    else {
      this.n = chunk % this.nodeCount;
      this.local = (chunk / this.nodeCount) | 0;
      this.node = this.nodes[this.n];
    }
    this.generation = Atomics.load(this.home, this.generationAt);
    this.leaf = this.leafOf(chunk);
  }

  /** Is the generation still the one the leaf was looked up under? What was read of the leaf is then the file's. */
  isCurrent(): boolean {
    return Atomics.load(this.home, this.generationAt) === this.generation;
  }

  /**
   * Pins the folio of the page that `seek` found; `pfn` (the page's own frame) and `order` then say which. False when it
   * is not cached, or was frozen or replaced at this moment. Two atomic operations, no lock.
   */
  pinFolio(): boolean {
    const { node } = this;
    const { words } = node;
    if (this.leaf === 0) return false;
    const pteAt = this.leaf + this.page;
    const pte = words[pteAt]; // looked at again below
    if (!isPresent(pte)) return false;
    const pfn = frameFromFolioPte(pte);
    const order = orderFromPte(pte);
    const head = headOf(pfn, order);
    // An entry of a leaf that is gone may be anything.
    if (head >= node.frames || !tryPin(node, head)) return false;
    // The pin holds off whatever would take the folio away; was it still this page's when the pin took hold?
    if (Atomics.load(words, pteAt) !== pte || !this.isCurrent()) {
      unpin(node, head);
      return false;
    }
    if (words[node.touchAt + head] === 0) words[node.touchAt + head] = 1;
    this.pfn = pfn;
    this.order = order;
    return true;
  }

  /** Undoes `pinFolio`, if nothing was sought in between. */
  unpinFolio(): void {
    unpin(this.node, headOf(this.pfn, this.order));
  }

  /** Is nothing cached of the page that `seek` found? A hint: it may change at any time. */
  isAbsent(): boolean {
    return this.leaf === 0 || Atomics.load(this.node.words, this.leaf + this.page) === PTE_NONE;
  }

  /** Pages from the sought one on, at most `limit`, that are not cached. A hint. */
  absentRun(limit: number): number {
    if (this.leaf === 0) return limit;
    let run = 0;
    while (run < limit && Atomics.load(this.node.words, this.leaf + this.page + run) === PTE_NONE) run++;
    return run;
  }

  /** Byte of the node where the sought position's page begins, of the folio that is pinned. */
  pinnedByte(): number {
    return this.pfn * PAGE_BYTES;
  }

  /** The handle is given up: what uses it afterwards would find another file's pages. */
  close(): void {
    this.isClosed = true;
  }

  /** Throws ERR_QUIRE_CLOSED or ERR_QUIRE_FAILED when the file or its instance is of no use any more. */
  checkAlive(): void {
    if (this.isClosed) throw new QuireError('ERR_QUIRE_CLOSED', 'the file is closed');
    if (this.home[L.H_STATE] !== L.STATE_OPEN) this.memory.checkAlive();
  }

  private leafOf(chunk: number): WordIndex {
    if (this.generation !== this.tlbGeneration) {
      this.tlbChunks.fill(-1);
      this.tlbGeneration = this.generation;
    }
    const index = chunk & (TLB_ENTRIES - 1);
    if (this.tlbChunks[index] === chunk) return this.tlbLeaves[index] as WordIndex;
    const leaf = findLeaf(this.node, this.region, this.local);
    if (leaf !== 0) {
      this.tlbChunks[index] = chunk;
      this.tlbLeaves[index] = leaf;
    }
    return leaf;
  }
}

/** Sleeps until nobody holds the node's lock: its holder may be off the processor half way through what is waited for. */
export function waitForLock(node: Node): void {
  node.lock();
  node.unlock();
}
