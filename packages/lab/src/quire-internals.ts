/**
 * The lab's one door behind Quire's public API, for three things a benchmark has to see or do and no program should:
 * take single frames, as page tables of a kernel would (S1's fragmentation), look at the orders of a file's folios, and
 * switch the naive walk of S2 on. Shapes are what is used of the built modules, which are imported by address.
 */
import type { QuireFile, QuireInstance } from './quire.ts';

interface Node {
  readonly words: Int32Array;
  readonly frames: number;
  readonly firstFree: number;
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

interface Modules {
  readonly takeIoBlock: (memory: Memory, order: number) => { pfn: number };
  readonly giveIoBlock: (memory: Memory, pfn: number) => void;
  readonly findLeaf: (node: Node, region: number, chunk: number) => number;
  readonly isPresent: (pte: number) => boolean;
  readonly orderFromPte: (pte: number) => number;
  readonly FileSpace: new (memory: Memory, region: number, inode: Int32Array, options: SpaceOptions) => Space;
}

const MODULES = ['vm/io-block.js', 'page-table/page-table.js', 'arena/pte.js', 'page-cache/file-space.js'] as const;
const CHUNK_PAGES = 512;
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
}
