/**
 * The lab's one door behind Quire's public API, for what a benchmark has to see or do and no program should:
 * take single frames, as page tables of a kernel would (S1's fragmentation), look at the orders of a file's folios,
 * switch the naive walk of S2 on, count the bytes of the swap table (S3) and the loads of its words (S4), and put a recorder
 * between a map and its regions (`lab policy`). Reclaim itself (S5) is reached from s5/reclaim-door.ts. Shapes are what is used of the built modules, which are imported by address.
 */
import { DESCRIPTOR, ENTRY, LoadCounter, ROOT, SEQUENCE, SLOT_WORD, type TableLoads } from './load-counter.ts';
import type { PageSpace } from './policy/recording.ts';
import type { QuireFile, QuireInstance, QuireRegion } from './quire.ts';

interface Node {
  /** Both are replaced while loads are counted. */
  words: Int32Array;
  kernel: Readonly<Record<string, unknown>>;
  readonly frames: number;
  readonly firstFree: number;
  readonly shadowMask: number;
}

/** Bytes that there are for the sake of swap slots, by what they are. */
export interface SwapMetadata {
  /**
   * Tables of the node whose size is fixed: sequence words, cluster roots and lists, size classes, ring, segment roots. The
   * tables of the checksum among them are constants of the codec, and left out.
   */
  readonly staticBytes: number;
  /** One a slot in use, up to twice the frames: they are there from the start. */
  readonly shadowBytes: number;
  /** Frames of cluster descriptors, and the clusters' tables. */
  readonly chunkBytes: number;
  readonly tableBytes: number;
  readonly slotsUsed: number;
  readonly slotsMax: number;
}

interface Memory {
  readonly nodes: readonly Node[];
}

interface Space {
  readonly region: number;
  readonly inode: Int32Array;
  readonly readahead: unknown;
  readonly balance: unknown;
}

interface SpaceOptions {
  readonly readahead: unknown;
  readonly balance: unknown;
  readonly naiveWalk: boolean;
}

/** Private fields of TypeScript are plain properties when it runs. */
interface InsideQuire {
  readonly memory: Memory;
}

interface InsideFile {
  readonly file: { space: Space; position: number };
}

/** What is used of arena/layout.ts. */
interface Layout {
  readonly SEQUENCES_AT: number;
  readonly SEQUENCE_WORDS: number;
  readonly REGIONS_MAX: number;
  readonly STATIC_WORDS: number;
  readonly CLUSTER_ROOTS_AT: number;
  readonly CLUSTER_ROOTS: number;
  readonly CLUSTER_CHUNK: number;
  readonly CLUSTER_DESCRIPTOR_WORDS: number;
  readonly CLUSTER_SLOTS: number;
  readonly H_SLOTS_USED: number;
  readonly H_SLOTS_MAX: number;
}

/** Words of a map's control block (map/control.ts takes no fewer). */
const MAP_CONTROL_WORDS = 256;

/** What `lab policy` uses of map/page-map.ts. */
export interface InnerMap {
  get(key: Uint8Array): Uint8Array | undefined;
  set(key: Uint8Array, value: Uint8Array, expiresAtMs: number): boolean;
  reap(limit: number): number;
}

export type InnerMapSpaces = Readonly<Record<'index' | 'heap' | 'meta', PageSpace<unknown>>>;

interface Modules extends Layout {
  readonly PageMap: {
    create(
      spaces: InnerMapSpaces,
      control: Int32Array,
      options: { readonly now: () => number; readonly seed: number },
    ): InnerMap;
  };
  readonly takeIoBlock: (memory: Memory, order: number) => { pfn: number };
  readonly giveIoBlock: (memory: Memory, pfn: number) => void;
  readonly nextLeafChunk: (node: Node, region: number, from: number, end: number) => number;
  readonly findLeaf: (node: Node, region: number, chunk: number) => number;
  readonly isPresent: (pte: number) => boolean;
  readonly READ_OTHERWISE: number;
  readonly orderFromPte: (pte: number) => number;
  readonly FileSpace: new (memory: Memory, region: number, inode: Int32Array, options: SpaceOptions) => Space;
}

const MODULES = [
  'vm/io-block.js',
  'vm/page-read.js',
  'page-table/page-table.js',
  'arena/pte.js',
  'page-cache/file-space.js',
  'arena/layout.js',
  'map/page-map.js',
] as const;
const CHUNK_PAGES = 512;
const CHUNKS_MAX = 2 ** 24;
const CRC_TABLE_WORDS = 8 * 256;
export const FRAME_BYTES = 4096;

export class QuireInternals {
  readonly #modules: Modules;
  readonly #memory: Memory;

  private constructor(modules: Modules, memory: Memory) {
    this.#modules = modules;
    this.#memory = memory;
  }

  static async of(quire: QuireInstance): Promise<QuireInternals> {
    const index = import.meta.resolve('quire');
    const parts = await Promise.all(MODULES.map((name) => import(new URL(name, index).href)));
    const modules = Object.assign({}, ...parts) as Modules;
    return new QuireInternals(modules, (quire as unknown as InsideQuire).memory);
  }

  /** Frames of the node where single frames come from that were not taken when the instance was made. */
  get frames(): number {
    const [node] = this.#memory.nodes;
    return node.frames - node.firstFree;
  }

  /** One unmovable frame, by its number. Throws when all memory is taken. */
  takeFrame(): number {
    return this.#modules.takeIoBlock(this.#memory, 0).pfn;
  }

  giveFrame(pfn: number): void {
    this.#modules.giveIoBlock(this.#memory, pfn);
  }

  /** How many of the pages in a range of the file lie in a folio of each order; index 10 counts those not cached. */
  pagesByOrder(file: QuireFile, position: number, bytes: number): number[] {
    const { findLeaf, isPresent, orderFromPte } = this.#modules;
    const { nodes } = this.#memory;
    const { region } = (file as unknown as InsideFile).file.space;
    const pages = new Array<number>(11).fill(0);
    const end = Math.ceil((position + bytes) / FRAME_BYTES);
    for (let page = Math.floor(position / FRAME_BYTES); page < end; page += 1) {
      const chunk = Math.floor(page / CHUNK_PAGES);
      const node = nodes[chunk % nodes.length];
      const leaf = findLeaf(node, region, Math.floor(chunk / nodes.length));
      const pte = leaf === 0 ? 0 : Atomics.load(node.words, leaf + (page % CHUNK_PAGES));
      pages[isPresent(pte) ? orderFromPte(pte) : 10] += 1;
    }
    return pages;
  }

  /** Of the first node. The tables are counted by what descriptors name, not by what the counts say. */
  swapMetadata(): SwapMetadata {
    const L = this.#modules;
    const [node] = this.#memory.nodes;
    let chunks = 0;
    let tables = 0;
    for (const chunk of node.words.subarray(L.CLUSTER_ROOTS_AT, L.CLUSTER_ROOTS_AT + L.CLUSTER_ROOTS)) {
      if (chunk === 0) continue;
      chunks += 1;
      const first = (chunk * FRAME_BYTES) / 4;
      for (let index = 0; index < L.CLUSTER_CHUNK; index += 1) {
        if (node.words[first + index * L.CLUSTER_DESCRIPTOR_WORDS] !== 0) tables += 1;
      }
    }
    return {
      staticBytes: (L.STATIC_WORDS - L.SEQUENCES_AT - CRC_TABLE_WORDS) * 4,
      shadowBytes: node.shadowMask + 1,
      chunkBytes: chunks * FRAME_BYTES,
      tableBytes: tables * L.CLUSTER_SLOTS * 4,
      slotsUsed: node.words[L.H_SLOTS_USED],
      slotsMax: node.words[L.H_SLOTS_MAX],
    };
  }

  /**
   * What `work` loads of the first node's tables, which it does not allocate or free. Reads that a kernel would do in one call
   * are left to the code in JavaScript, whose loads can be seen; they are of the same words.
   */
  countLoads(work: () => void): TableLoads {
    const [node] = this.#memory.nodes;
    const { words, kernel } = node;
    const counter = new LoadCounter(words, this.#tableWords(node));
    const { READ_OTHERWISE } = this.#modules;
    node.words = counter.front;
    node.kernel = { ...kernel, readPage: () => READ_OTHERWISE };
    try {
      counter.run(work);
    } finally {
      node.words = words;
      node.kernel = kernel;
    }
    return counter.loads;
  }

  /** Which table each word is of: a code of LoadCounter, 0 none. */
  #tableWords(node: Node): Uint8Array {
    const L = this.#modules;
    const { words } = node;
    const kinds = new Uint8Array(words.length);
    kinds.fill(SEQUENCE, L.SEQUENCES_AT, L.SEQUENCES_AT + L.SEQUENCE_WORDS);
    kinds.fill(ROOT, L.CLUSTER_ROOTS_AT, L.CLUSTER_ROOTS_AT + L.CLUSTER_ROOTS);
    for (const chunk of words.subarray(L.CLUSTER_ROOTS_AT, L.CLUSTER_ROOTS_AT + L.CLUSTER_ROOTS)) {
      if (chunk === 0) continue;
      const first = (chunk * FRAME_BYTES) / 4;
      kinds.fill(DESCRIPTOR, first, first + FRAME_BYTES / 4);
      for (let index = 0; index < L.CLUSTER_CHUNK; index += 1) {
        const table = words[first + index * L.CLUSTER_DESCRIPTOR_WORDS];
        if (table !== 0) kinds.fill(SLOT_WORD, table, table + L.CLUSTER_SLOTS);
      }
    }
    for (let region = 0; region < L.REGIONS_MAX; region += 1) {
      let chunk = L.nextLeafChunk(node, region, 0, CHUNKS_MAX);
      for (; chunk >= 0; chunk = L.nextLeafChunk(node, region, chunk + 1, CHUNKS_MAX)) {
        const leaf = L.findLeaf(node, region, chunk);
        kinds.fill(ENTRY, leaf, leaf + CHUNK_PAGES);
      }
    }
    return kinds;
  }

  /** From here on every write through this handle walks the states of all blocks of its folio, as ext4 did. */
  switchNaiveWalkOn(file: QuireFile): void {
    const inside = (file as unknown as InsideFile).file;
    const { region, inode, readahead, balance } = inside.space;
    const options = { readahead, balance, naiveWalk: true };
    inside.space = new this.#modules.FileSpace(this.#memory, region, inode, options);
  }

  /** Sets the handle's own position to the start: what lseek does for a descriptor. */
  rewind(file: QuireFile): void {
    const inside = (file as unknown as InsideFile).file;
    if (typeof inside.position !== 'number') throw new Error('the file has no position to set');
    inside.position = 0;
  }

  spaceOf(region: QuireRegion): PageSpace<unknown> {
    return (region as unknown as { readonly space: PageSpace<unknown> }).space;
  }

  /** An empty map in these spaces, as `quire.map` makes it in regions of its own. `now`: ms, for lifetimes. */
  createMap(spaces: InnerMapSpaces, now: () => number, seed: number): InnerMap {
    return this.#modules.PageMap.create(spaces, sharedWords(MAP_CONTROL_WORDS), { now, seed });
  }
}

function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(count * 4));
}

/** The exports of built modules of the package, in one object. */
export async function importInside<T>(names: readonly string[]): Promise<T> {
  const index = import.meta.resolve('quire');
  const parts = await Promise.all(names.map((name) => import(new URL(name, index).href)));
  return Object.assign({}, ...parts) as T;
}

/** The instance's nodes and reclaimers, in the shape that the caller uses of them. */
export function memoryOf<T>(quire: QuireInstance): T {
  return (quire as unknown as { readonly memory: T }).memory;
}
