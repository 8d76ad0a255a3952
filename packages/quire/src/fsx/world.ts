/** What the operations of one episode share: the instance, its threads, the files with their models, the disk. */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { compileKernel, instantiateKernel } from '../codec/wasm-kernel.ts';
import { setCompaction } from '../compaction/policy.ts';
import { setDirtyLimits } from '../page-cache/dirty-limits.ts';
import { attachFiles } from '../page-cache/dirty-throttle.ts';
import { LogicalThread } from '../simulator/logical-thread.ts';
import type { Random } from '../simulator/random.ts';
import { formatInstance } from '../vm/instance.ts';
import type { Memory } from '../vm/memory.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { Ballast } from './ballast.ts';
import { type DiskFile, FaultyFiles } from './faulty-files.ts';
import { FileModel } from './file-model.ts';
import type { OpenFile, OpenPin } from './open-file.ts';
import type { Shape } from './shape.ts';

/** One file: its bytes on the disk, what they ought to be, and who has it open. */
export interface FilePlan {
  readonly number: number;
  readonly fd: number;
  readonly disk: DiskFile;
  readonly model: FileModel;
  readonly handles: Handle[];
  /** Position that recent operations were near. */
  focus: number;
}

export interface Handle {
  readonly plan: FilePlan;
  readonly thread: FileThread;
  readonly file: OpenFile;
  readonly pins: OpenPin[];
  /** Reads behind its back that are under way. */
  inFlight: number;
  /** Count of writeback errors it has been told about. */
  seenErrors: number;
}

/** A simulated thread, its open files and its view of the region. */
export interface FileThread {
  readonly logical: LogicalThread;
  readonly memory: Memory;
  readonly ballast: RegionSpace;
  readonly handles: Handle[];
}

const KERNEL = compileKernel();

export class World {
  readonly shape: Shape;
  readonly memories: WebAssembly.Memory[];
  readonly disk: FaultyFiles;
  readonly ballast: Ballast;
  readonly files: FilePlan[] = [];
  readonly threads: FileThread[] = [];
  /** kcompactd has a thread of its own: it tells the frames it took by the thread that holds them. */
  readonly kcompactd: LogicalThread;
  /** Source of chance of the operation under way. */
  random: Random;
  /** Operations on the stack. */
  depth = 0;
  /** Operations that ran inside others so far. */
  nested = 0;
  isBallastBusy = false;
  /** Reads behind somebody's back that are under way. */
  inFlight = 0;
  /** What went wrong where nobody could throw it. */
  failure: unknown;
  /** Outcomes that are no failure: memory was full, an error was injected. */
  refused = 0;
  faulted = 0;

  constructor(random: Random, shape: Shape, interrupt: () => void) {
    this.random = random;
    this.shape = shape;
    const pages = Math.floor(shape.budgetBytes / shape.nodes / 65_536);
    this.memories = Array.from(
      { length: shape.nodes },
      () => new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
    );
    this.disk = new FaultyFiles(shape.faults, () => this.random, interrupt);
    const nodes = formatInstance(this.memories, (memory) => instantiateKernel(KERNEL, memory), {
      hasSwap: shape.hasSwap,
      poolShare: 1,
      kswapd: 0,
      kcompressd: 0,
      areas: shape.threads + 1,
    });
    setCompaction(nodes, shape.policy);
    setDirtyLimits(nodes, { ...shape.dirty, dirtyExpireMs: 30_000, dirtyWritebackMs: 5000 });
    this.ballast = new Ballast(shape.ballastPages);
    for (let number = 0; number < shape.files; number++) this.addFile(number);
    for (let i = 0; i < shape.threads; i++) this.addThread(`thread ${i}`);
    this.kcompactd = new LogicalThread('kcompactd', this.memories, KERNEL, undefined);
  }

  get nodes(): readonly Node[] {
    return this.threads[0].logical.nodes;
  }

  isSizeHalfWritten(): boolean {
    return this.files.some(({ handles }) => handles.length > 0 && (handles[0].file.inode[L.I_SIZE_SEQ] & 1) !== 0);
  }

  private addFile(number: number): void {
    const { fd, file } = this.disk.create();
    const model = new FileModel();
    file.onWriteError = () => model.noteError();
    this.files.push({ number, fd, disk: file, model, handles: [], focus: this.shape.baseBytes });
  }

  private addThread(name: string): void {
    const logical = new LogicalThread(name, this.memories, KERNEL, undefined);
    const { memory } = logical;
    attachFiles(memory, this.disk);
    this.threads.push({ logical, memory, ballast: this.ballast.open(memory), handles: [] });
  }

  /** After each operation, nobody inside the core. */
  checkCounts(): void {
    for (const { words } of this.nodes) {
      if (words[L.H_LOCK] !== 0) throw new Error(`node lock is held by thread ${words[L.H_LOCK]} after its operation`);
      if (words[L.H_STATE] !== L.STATE_OPEN) throw new Error(`the instance is in state ${words[L.H_STATE]}`);
      for (const at of [L.H_FREE_FRAMES, L.H_PC_PAGES, L.H_PC_DIRTY, L.H_PC_WRITEBACK, L.H_REGION_PAGES])
        if (words[at] < 0) throw new Error(`count at header word ${at} is ${words[at]}`);
      if (words[L.H_PC_DIRTY] > words[L.H_PC_PAGES]) throw new Error('more dirty pages than cached ones');
    }
  }
}
