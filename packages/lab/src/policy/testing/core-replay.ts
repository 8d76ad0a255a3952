/**
 * Replays a trace through Quire's core: a node with memory enough, whose resident pages are kept below a number by rounds of
 * direct reclaim after each event. Pages are same-filled, so that nothing but the policy decides what is resident.
 */
import { FREED, kindOf, pageOf, READ, REPLACE, type Trace } from '../trace.ts';
import type { ListPolicy } from '../working-set.ts';

interface Node {
  readonly frames: number;
  readonly words: Int32Array;
}

interface Space {
  readonly region: number;
  read(offset: number, target: Uint8Array, at: number, length: number): void;
  write(offset: number, source: Uint8Array, at: number, length: number): void;
  discard(offset: number, length: number): void;
}

interface Instance {
  readonly node: Node;
  readonly nodes: readonly Node[];
  readonly memory: { readonly reclaimers: readonly { round(queue: boolean, direct: boolean): boolean }[] };
  space(size: number, name: string, access: 'random'): Space;
  finish(): void;
}

interface Modules {
  readonly createTestInstance: (shape: { bytes: number }) => Instance;
  readonly setReclaimPolicy: (nodes: readonly Node[], name: ListPolicy) => void;
  readonly findLeaf: (node: Node, region: number, chunk: number) => number;
  readonly isPresent: (pte: number) => boolean;
  readonly H_REGION_PAGES: number;
}

const MODULES = [
  'testing/test-instance.js',
  'reclaim/policy.js',
  'page-table/page-table.js',
  'arena/pte.js',
  'arena/layout.js',
] as const;
const PAGE_BYTES = 4096;
const CHUNK_PAGES = 512;

export interface CoreReplay {
  /** For each event, 1 when its page had a frame. */
  readonly hits: Uint8Array;
  /** Frames of the node: what an age bucket is a 64th of. */
  readonly memoryFrames: number;
}

/** @param bytes of the node: whole 64 KiB, more than the trace's pages and the node's tables take */
export async function replayInCore(
  trace: Trace,
  capacity: number,
  policy: ListPolicy,
  bytes: number,
): Promise<CoreReplay> {
  const index = import.meta.resolve('quire');
  const parts = await Promise.all(MODULES.map((name) => import(new URL(name, index).href)));
  const core = Object.assign({}, ...parts) as Modules;
  const instance = core.createTestInstance({ bytes });
  const { node } = instance;
  core.setReclaimPolicy(instance.nodes, policy);
  const space = instance.space(trace.pages * PAGE_BYTES, '', 'random');
  const buffer = new Uint8Array(PAGE_BYTES);
  const hits = new Uint8Array(trace.events.length);
  for (let i = 0; i < trace.events.length; i++) {
    const page = pageOf(trace.events[i]);
    const kind = kindOf(trace.events[i]);
    hits[i] = isResident(page) ? 1 : 0;
    if (kind === READ) space.read(page * PAGE_BYTES, buffer, 0, 1);
    else if (kind === FREED) space.discard(page * PAGE_BYTES, PAGE_BYTES);
    else space.write(page * PAGE_BYTES, buffer, 0, kind === REPLACE ? PAGE_BYTES : 1);
    while (node.words[core.H_REGION_PAGES] >= capacity) instance.memory.reclaimers[0].round(false, true);
  }
  instance.finish();
  return { hits, memoryFrames: node.frames };

  function isResident(page: number): boolean {
    const leaf = core.findLeaf(node, space.region, Math.floor(page / CHUNK_PAGES));
    return leaf !== 0 && core.isPresent(node.words[leaf + (page % CHUNK_PAGES)]);
  }
}
