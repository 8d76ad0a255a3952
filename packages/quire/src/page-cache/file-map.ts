/**
 * A file's address space as one thread sees it: from a byte position to node, leaf and folio. Leaves are remembered (a
 * TLB) under the region's generation, as vm/region-space.ts does. `seek` sets the public fields; they hold until the next
 * `seek`, so nothing is allocated on the way.
 */
import { LOADS_STAY_IN_ORDER } from '../arena/fence.ts';
import { headOf, tryPin, unpin } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import type { Reap } from '../arena/node-lock.ts';
import { frameFromFolioPte, isPresent, orderFromPte, PTE_NONE } from '../arena/pte.ts';
import { QuireError } from '../base/errors.ts';
import type { ByteCopier, FileIo } from '../base/port.ts';
import { CHUNK_BYTES, NO_PFN, PAGE_BYTES, type Pfn, type WordIndex } from '../base/units.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import type { Memory } from '../vm/memory.ts';

/** Leaves remembered a handle and thread: 1,024 chunks of 2 MiB, 2 GiB without a walk. */
const TLB_ENTRIES = 1024;
/** The view of the last copy is remembered, and so kept alive, up to this length; beside longer copies the look is nothing. */
const KNOWN_VIEW_BYTES_MAX = 64 * 1024;
const NO_VIEW = new Uint8Array(0);

/** Where the runtime has nothing faster than TypedArray.set. */
const PLAIN_COPIER: ByteCopier = {
  // Longer than any copy: a folio's.
  bytesMin: 2 ** 30,
  copyIn: (memory, to, source, from, length) => memory.set(source.subarray(from, from + length), to),
  copyOut: (memory, from, target, to, length) => target.set(memory.subarray(from, from + length), to),
};

export class FileMap {
  readonly memory: Memory;
  readonly region: number;
  readonly inode: Int32Array;
  readonly files: FileIo;
  readonly nodes: readonly Node[];
  /** This thread's id. */
  readonly me: number;
  /** Asks after the holder of a lock (arena/node-lock.ts). */
  readonly reap: Reap | undefined;
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

  /** What the naive walk found last; kept so that the walk is not optimised away. */
  walked = 0;

  private readonly copier: ByteCopier;
  private readonly copierBytesMin: number;
  /** Buffers of the nodes: asking a view for its buffer is a call into the runtime, 20 ns. */
  private readonly buffers: readonly ArrayBufferLike[];
  /** A view that lies outside the memory of all nodes. */
  private foreignView: Uint8Array = NO_VIEW;
  /** Fills in a row that came to nothing because the file was written back or cut off meanwhile (file-fill.ts). */
  fillsOvertaken = 0;

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
    this.copier = memory.files.copier ?? PLAIN_COPIER;
    this.copierBytesMin = this.copier.bytesMin;
    this.buffers = memory.nodes.map((node) => node.bytes.buffer);
    this.nodes = memory.nodes;
    this.node = memory.nodes[0];
    this.me = memory.nodes[0].thread;
    this.reap = memory.nodes[0].reap;
    this.home = memory.nodes[0].words;
    this.nodeCount = memory.nodes.length;
    this.generationAt = regionAt(region) + L.R_GENERATION;
  }

  /** Where the byte is: node, chunk, page, and the leaf if there is one. */
  seek(position: number): void {
    // Kept small integers: a field that once held a double is boxed for ever.
    const chunk = (position / CHUNK_BYTES) | 0;
    const inChunk = (position - chunk * CHUNK_BYTES) | 0;
    this.inChunk = inChunk;
    this.page = inChunk >>> 12;
    if (this.nodeCount === 1) this.local = chunk;
    else {
      this.n = chunk % this.nodeCount;
      this.local = (chunk / this.nodeCount) | 0;
      this.node = this.nodes[this.n];
    }
    // Compared later with an atomic load, or a plain one behind an atomic operation. What is loaded first needs no more
    // than to stay first: an atomic load is a call, 6 ns.
    const { home, generationAt } = this;
    const generation = LOADS_STAY_IN_ORDER ? home[generationAt] : Atomics.load(home, generationAt);
    this.generation = generation;
    const slot = chunk & (TLB_ENTRIES - 1);
    this.leaf = (
      generation === this.tlbGeneration && this.tlbChunks[slot] === chunk ? this.tlbLeaves[slot] : this.leafOf(chunk)
    ) as WordIndex;
  }

  /** Is the generation still the one the leaf was looked up under? What was read of the leaf is then the file's. */
  isCurrent(): boolean {
    return Atomics.load(this.home, this.generationAt) === this.generation;
  }

  /** As `isCurrent`, right after an atomic operation, which no load passes on machines that keep loads in order. */
  isStillCurrent(): boolean {
    const { home, generationAt } = this;
    return (LOADS_STAY_IN_ORDER ? home[generationAt] : Atomics.load(home, generationAt)) === this.generation;
  }

  /**
   * Pins the folio of the page that `seek` found; `pfn` (the page's own frame) and `order` then say which. False when it
   * is not cached, or was frozen or replaced at this moment. Two atomic operations, no lock.
   */
  pinFolio(): boolean {
    const { node, leaf } = this;
    const { words } = node;
    if (leaf === 0) return false;
    const pteAt = leaf + this.page;
    const pte = words[pteAt]; // looked at again below
    if (!isPresent(pte)) return false;
    const pfn = frameFromFolioPte(pte);
    const order = orderFromPte(pte);
    const head = headOf(pfn, order);
    // An entry of a leaf that is gone may be anything.
    if (head >= node.frames || !tryPin(node, head)) return false;
    // The pin holds off whatever would take the folio away; was it still this page's when the pin took hold?
    const isSame = (LOADS_STAY_IN_ORDER ? words[pteAt] : Atomics.load(words, pteAt)) === pte;
    if (!isSame || !this.isStillCurrent()) {
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

  /** Copies `source[from…]` to byte `to` of the node. */
  copyIn(node: Node, to: number, source: Uint8Array, from: number, length: number): void {
    if (source !== this.foreignView && this.isInside(source)) {
      if (source.buffer === node.bytes.buffer) {
        node.kernel.copy(to | 0, (source.byteOffset + from) | 0, length);
        return;
      }
    }
    if (length >= this.copierBytesMin) this.copier.copyIn(node.bytes, to, source, from, length);
    else node.bytes.set(from === 0 && length === source.length ? source : source.subarray(from, from + length), to);
  }

  /** Copies from byte `start` of the node to `target[to…]`. */
  copyOut(node: Node, start: number, target: Uint8Array, to: number, length: number): void {
    if (target !== this.foreignView && this.isInside(target)) {
      if (target.buffer === node.bytes.buffer) {
        node.kernel.copy((target.byteOffset + to) | 0, start | 0, length);
        return;
      }
    }
    if (length >= this.copierBytesMin) this.copier.copyOut(node.bytes, start, target, to, length);
    else target.set(node.bytes.subarray(start, start + length), to);
  }

  /** Does the view lie in a node's memory (a pin, an I/O buffer)? There copies may overlap, and the kernel is faster. */
  private isInside(view: Uint8Array): boolean {
    if (this.buffers.includes(view.buffer)) return true;
    if (view.length <= KNOWN_VIEW_BYTES_MAX) this.foreignView = view;
    return false;
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
