/**
 * A process that only compresses: pages of text in a memory of its own, with the kernel that Quire uses. Nothing is shared
 * with anybody, so what several of these lose beside each other is the machine's, not a lock's.
 *
 *   compress MS   for so long; how many pages
 */
import { WrongAnswer } from '../benchmark.ts';
import { serveParent } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { importInside } from '../quire-internals.ts';
import { PageSource } from './page-source.ts';

export interface CoreLimitArgs {
  readonly corpusFile: string;
  readonly seed: number;
}

export interface Compressed {
  readonly pages: number;
  readonly ms: number;
}

interface SharedMemory {
  readonly buffer: ArrayBuffer;
}

interface Modules {
  compileKernel(): object;
  instantiateKernel(module: object, memory: SharedMemory): Kernel;
}

/** What is used of the global `WebAssembly`, which the types of Node leave out. */
interface WebAssemblyGlobal {
  readonly Memory: new (options: { initial: number; maximum: number; shared: boolean }) => SharedMemory;
}

interface Kernel {
  compress(src: number, length: number, dst: number, capacity: number, table: number): number;
  decompress(src: number, length: number, dst: number, capacity: number): number;
}

/** More than any cache holds: reclaim compresses pages that nobody has touched for long. */
const PAGES = 16_384;
/** Between two looks at the clock. */
const BATCH = 64;
const WASM_PAGE_BYTES = 65_536;
const TABLE_BYTES = 16_384;

const { Memory } = (globalThis as unknown as { WebAssembly: WebAssemblyGlobal }).WebAssembly;
const { compileKernel, instantiateKernel } = await importInside<Modules>(['codec/wasm-kernel.js']);

await serveParent<CoreLimitArgs>(async (args) => {
  const bytes = (PAGES + 2) * PAGE_BYTES + TABLE_BYTES;
  const wasmPages = Math.ceil(bytes / WASM_PAGE_BYTES);
  const memory = new Memory({ initial: wasmPages, maximum: wasmPages, shared: true });
  const kernel = instantiateKernel(compileKernel(), memory);
  const heap = new Uint8Array(memory.buffer);
  const source = new PageSource(args.corpusFile, 'text', args.seed);
  for (let page = 0; page < PAGES; page += 1) heap.set(source.page(page), page * PAGE_BYTES);
  const out = PAGES * PAGE_BYTES;
  const back = out + PAGE_BYTES;
  const table = back + PAGE_BYTES;
  const length = kernel.compress(0, PAGE_BYTES, out, PAGE_BYTES, table);
  if (kernel.decompress(out, length, back, PAGE_BYTES) !== PAGE_BYTES)
    throw new WrongAnswer('a page did not come back');
  if (Buffer.compare(heap.subarray(0, PAGE_BYTES), heap.subarray(back, table)) !== 0)
    throw new WrongAnswer('page 0 changed');
  let next = 0;
  return {
    run(line): Compressed {
      const wantedMs = Number(line.split(' ')[1]);
      const start = performance.now();
      let pages = 0;
      for (; performance.now() - start < wantedMs; pages += BATCH) {
        for (let index = 0; index < BATCH; index += 1, next = (next + 1) % PAGES) {
          kernel.compress(next * PAGE_BYTES, PAGE_BYTES, out, PAGE_BYTES, table);
        }
      }
      return { pages, ms: performance.now() - start };
    },
  };
});
