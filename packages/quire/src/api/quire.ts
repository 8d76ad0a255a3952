/** Quire: an instance as one thread sees it. */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { threadId } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { CHUNK_BYTES, PAGE_BYTES, parseBytes } from '../base/units.ts';
import { compileKernel, instantiateKernel } from '../codec/wasm-kernel.ts';
import type { WasmMemory, WasmModule } from '../codec/wasm-types.ts';
import { setCompaction } from '../compaction/policy.ts';
import { FileDevice } from '../daemons/file-device.ts';
import { NodeFileIo } from '../daemons/node-file-io.ts';
import { nodeTasks } from '../daemons/node-tasks.ts';
import { nodeZstd } from '../daemons/node-zstd.ts';
import { InlineRunner } from '../daemons/runner.ts';
import { type FileRole, WorkerPool } from '../daemons/worker-pool.ts';
import type { PageMap } from '../map/page-map.ts';
import type { MapKey, QuireMap } from '../map/quire-map.ts';
import { setDirtyLimits } from '../page-cache/dirty-limits.ts';
import { attachFiles } from '../page-cache/dirty-throttle.ts';
import type { LeftDescriptors } from '../page-cache/inode.ts';
import { groupOfRegion } from '../reclaim/group.ts';
import { groupName } from '../reclaim/group-table.ts';
import { setReclaimPolicy } from '../reclaim/policy.ts';
import { StallMeter } from '../reclaim/pressure.ts';
import { freeDetached } from '../swap/detached-leaves.ts';
import { poolShare } from '../swap/tiers.ts';
import { ACCESS_HINTS, type Access, setAccess } from '../vm/access.ts';
import { checkGroups } from '../vm/group-check.ts';
import { formatInstance } from '../vm/instance.ts';
import { checkEmpty } from '../vm/instance-check.ts';
import { giveIoBlock, takeIoBlock } from '../vm/io-block.ts';
import { Memory } from '../vm/memory.ts';
import { RegionSpace } from '../vm/region-space.ts';
import {
  chunksFor,
  closeRegion,
  forceCloseRegion,
  openRegion,
  REGION_BYTES_MAX,
  regionsInUse,
} from '../vm/region-table.ts';
import { abandonThread, attachThread, clearPins, detachThread, liveThreads } from '../vm/thread-slot.ts';
import { checkGroupName, checkName } from './arguments.ts';
import { setTierCodecs } from './codec-options.ts';
import { Descriptors } from './descriptors.ts';
import { type OpenFileOptions, openRequest } from './file-descriptor.ts';
import type { FileFlags } from './file-flags.ts';
import { FileHost } from './file-host.ts';
import { checkSwapLimits, Group, type GroupOptions } from './group.ts';
import { openByteMap, openMap } from './map-opener.ts';
import { type ByteMapOptions, type MapOptions, resolveByteMapOptions, resolveMapOptions } from './map-options.ts';
import { areasFor, joinHandle, makeMemories } from './node-memories.ts';
import { daemonThreads, type QuireOptions, type ResolvedOptions, resolveOptions, type TierOptions } from './options.ts';
import { type PressureTrigger, PressureWatch, type QuireEvents, stallClockUs } from './pressure-watch.ts';
import type { QuireFile } from './quire-file.ts';
import { Region, type RegionOwner } from './region.ts';
import { makeClone } from './region-clone.ts';
import { collectStats, type QuireStats } from './stats.ts';
import {
  closeSwapFiles,
  type OpenedFile,
  openSwapFiles,
  type SwapoffOptions,
  type SwapoffProgress,
  SwapTiers,
} from './swap-tiers.ts';

/**
 * What another thread needs to attach. Post it with `postMessage` or as `workerData`; it stays good until the owner
 * closes.
 */
export interface QuireHandle {
  readonly memories: readonly WasmMemory[];
  readonly module: WasmModule;
  readonly budgetBytes: number;
  readonly readaheadBytes: number;
  /** Name of the BroadcastChannel over which attached workers have their files opened. */
  readonly channel: string;
  readonly pressure: readonly PressureTrigger[];
}

export interface RegionOptions {
  /** Bytes (≤ 2^45) or '10GiB'. Rounded up to whole 2 MiB chunks inside; the end is checked against this size. */
  readonly size: number | string;
  /** Threads that open the same name share the region. Default: a region of its own. At most 120 bytes of UTF-8. */
  readonly name?: string;
  /**
   * Group that the region's memory is charged to (`quire.group`). Default 'default'. 1 to 31 bytes of UTF-8. A region
   * that is there keeps its own.
   */
  readonly group?: string;
  /**
   * How the region is read. 'sequential': pages go out and are compressed four at a time, which takes less memory; a
   * random read then costs up to four times as much. 'auto' (default): by what is seen. Holds for all threads; without
   * it, a region that is there keeps what it has.
   */
  readonly access?: Access;
}

const REGION_OPTIONS: OptionNames<RegionOptions> = { size: true, name: true, group: true, access: true };

/** Started with the first file. */
const FILE_DAEMONS: readonly FileRole[] = ['flusher', 'kcompactd'];

/**
 * One hard byte budget with several times as much data behind it. `Quire.open` makes an instance and owns it;
 * `Quire.attach(handle)` joins one from another thread. Everything an instance holds is volatile and gone when its
 * owner closes.
 */
export class Quire extends EventEmitter<QuireEvents> implements AsyncDisposable {
  private readonly memory: Memory;
  private readonly thread: number;
  private readonly owns: OwnedParts | undefined;
  private readonly inline: InlineRunner | undefined;
  private readonly children = new Set<{ close(): void }>();
  private readonly sharedHandle: QuireHandle;
  private readonly owner: RegionOwner;
  private readonly descriptors: Descriptors;
  private readonly files: FileHost;
  private readonly meter: StallMeter;
  private readonly watch: PressureWatch;
  private closing: Promise<void> | undefined;

  private constructor(memory: Memory, thread: number, handle: QuireHandle, owns: OwnedParts | undefined) {
    super();
    this.memory = memory;
    this.thread = thread;
    this.sharedHandle = handle;
    this.owns = owns;
    this.inline = memory.nodes[0].words[L.H_KSWAPDS] === 0 ? new InlineRunner(memory) : undefined;
    memory.inlineDaemons = this.inline === undefined ? undefined : () => this.pollStalled();
    this.owner = this.makeOwner();
    attachFiles(memory, new NodeFileIo());
    this.descriptors = new Descriptors(handle.channel, owns !== undefined, () => memory.checkAlive());
    this.files = new FileHost(memory, this.descriptors, handle.readaheadBytes);
    this.meter = new StallMeter(memory.nodes[0].words, stallClockUs, memory.nodes[0].threadAt);
    this.watch = new PressureWatch(this.meter, handle.pressure, (event) => this.emit('pressure', event));
    this.meetPressure();
  }

  /** Whoever has no daemons does their work when it wants memory, and cannot go on meanwhile. */
  private pollStalled(): void {
    this.meter.begin();
    try {
      this.inline?.poll();
    } finally {
      this.meter.end();
    }
  }

  private meetPressure(): void {
    this.meter.join();
    for (const node of this.memory.nodes) node.stalls = this.meter;
    // The typing of an emitter with named events leaves out the emitter's own.
    this.watch.follow(this as unknown as EventEmitter);
  }

  /**
   * Makes an instance. Throws ERR_QUIRE_INVALID_ARG or ERR_QUIRE_RANGE (options), ERR_QUIRE_UNSUPPORTED (codec),
   * ERR_QUIRE_OUT_OF_MEMORY (the machine refuses the address space), ERR_QUIRE_IO (the swap file cannot be made).
   */
  static async open(options: QuireOptions): Promise<Quire> {
    const resolved = resolveOptions(options);
    const module = compileKernel();
    const opened = openSwapFiles(resolved.swapFiles);
    try {
      return await openInstance(resolved, module, opened);
    } catch (error) {
      closeSwapFiles(opened);
      throw error;
    }

    async function openInstance(
      shape: ResolvedOptions,
      kernel: WebAssembly.Module,
      swapFiles: readonly OpenedFile[],
    ): Promise<Quire> {
      const memories = makeMemories(shape.budgetBytes);
      const hasSwap = shape.compressed || swapFiles.length > 0;
      const nodes = formatInstance(memories, (memory) => instantiateKernel(kernel, memory, nodeZstd(memory)), {
        hasSwap,
        hasPool: shape.compressed,
        poolShare: poolShare(shape.compressed, swapFiles.length > 0),
        ...daemonThreads(shape.threads),
        isVirtual: shape.virtual,
        areas: areasFor(shape, FILE_DAEMONS.length),
      });
      setDirtyLimits(nodes, shape.files);
      setCompaction(nodes, shape.compaction);
      setReclaimPolicy(nodes, shape.reclaim);
      setTierCodecs(nodes, shape);
      const thread = attachThread(nodes, nodeTasks);
      const memory = new Memory(nodes, new FileDevice(nodes[0]));
      const tiers = new SwapTiers(memory, () => memory.checkAlive());
      for (const file of swapFiles) tiers.add(file);
      const handle = {
        memories,
        module: kernel,
        budgetBytes: shape.budgetBytes,
        readaheadBytes: shape.files.readaheadBytes,
        channel: `quire-${randomUUID()}`,
        pressure: shape.pressure,
      };
      const pool = new WorkerPool(memory, { memories, module: kernel });
      try {
        await pool.open(shape.threads);
      } catch (error) {
        await pool.close(); // those that did start
        throw error;
      }
      return new Quire(memory, thread, handle, { pool, tiers });
    }
  }

  /**
   * Joins an instance from another thread. Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_CLOSED, ERR_QUIRE_FAILED,
   * ERR_QUIRE_OUT_OF_MEMORY (no thread slot left).
   */
  static attach(handle: QuireHandle): Quire {
    const { memory, thread } = joinHandle(handle);
    return new Quire(memory, thread, handle, undefined);
  }

  /** What another thread attaches with. */
  get handle(): QuireHandle {
    this.checkOpen();
    this.descriptors.serve();
    return this.sharedHandle;
  }

  /**
   * A region: new, or, by name, the one that is there. Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE,
   * ERR_QUIRE_OUT_OF_MEMORY (512 files and regions are open).
   */
  region(options: RegionOptions): Region {
    this.checkOpen();
    checkOptions<RegionOptions>('options', options, REGION_OPTIONS);
    const size = parseBytes(options.size);
    if (size === undefined) throw invalidArg('size', "a number of bytes, or text like '10GiB'", options.size);
    if (size > REGION_BYTES_MAX) throw outOfRange('size', `at most ${REGION_BYTES_MAX}`, size);
    const name = checkName('name', options.name ?? '');
    const group = checkGroupName(options.group);
    const access = checkAccess(options.access);
    const info = openRegion(this.memory, name === '' ? '' : `region:${name}`, chunksFor(size), group);
    if (!info.created && info.chunks !== chunksFor(size)) {
      closeRegion(this.memory, info.region);
      throw outOfRange('size', `that of the open region '${name}'`, size);
    }
    if (access !== undefined || info.created) setAccess(this.memory.nodes[0], info.region, access ?? 'auto');
    const charged = groupName(this.memory.nodes[0], groupOfRegion(this.memory.nodes[0], info.region));
    const region = new Region(this.owner, new RegionSpace(this.memory, info.region, size), name, size, charged);
    this.children.add(region);
    return region;
  }

  /**
   * A shared hash map: new, or, by name, the one that is there. Keys may be strings, numbers or Uint8Arrays. Throws
   * as `region`.
   */
  map<K extends MapKey = string, V = Uint8Array>(options: MapOptions<K, V> = {}): QuireMap<K, V> {
    this.checkOpen();
    const map = openMap<K, V>(this.memory, threadId, resolveMapOptions<K, V>(options), (closed) =>
      this.children.delete(closed),
    );
    this.children.add(map);
    return map;
  }

  /**
   * A file of the file system behind the page cache. `flags` as of Node's `fs.open`, without the synchronous modes and
   * numbers. A handle that writes needs the right to read as well. Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE,
   * ERR_QUIRE_IO (`cause` is the system's error: ENOENT, EEXIST, EACCES, …), ERR_QUIRE_UNSUPPORTED (a directory, a device),
   * ERR_QUIRE_OUT_OF_MEMORY (512 files and regions are open).
   */
  async openFile(path: string | Buffer | URL, flags: FileFlags = 'r', options?: OpenFileOptions): Promise<QuireFile> {
    this.checkOpen();
    const request = openRequest(path, flags, options);
    await this.owns?.pool.openFileDaemons(FILE_DAEMONS);
    return this.files.openFile(request, () => this.checkOpen());
  }

  /** The map at the level of bytes, for layers that bring their own encoding (the server). */
  byteMap(options: ByteMapOptions = {}): PageMap & { close(): void } {
    this.checkOpen();
    const map = openByteMap(this.memory, threadId, resolveByteMapOptions(options), (closed) =>
      this.children.delete(closed),
    );
    this.children.add(map);
    return map;
  }

  /**
   * `bytes` (at most 2 MiB, rounded up to a power of two of pages) of the instance's own memory, to read into and write
   * from: `ByteMap` and `Region` copy several times faster between their pages and such a buffer. It counts against the
   * budget until this object closes. Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE, ERR_QUIRE_SWAP_FULL,
   * ERR_QUIRE_OUT_OF_MEMORY.
   */
  ioBuffer(bytes: number): Uint8Array {
    this.checkOpen();
    if (!Number.isInteger(bytes)) throw invalidArg('bytes', 'an integer', bytes);
    if (bytes < 1 || bytes > CHUNK_BYTES) throw outOfRange('bytes', `1…${CHUNK_BYTES}`, bytes);
    const order = Math.ceil(Math.log2(Math.ceil(bytes / PAGE_BYTES)));
    const block = takeIoBlock(this.memory, order);
    this.children.add({ close: () => giveIoBlock(this.memory, block.pfn) });
    return block.bytes.subarray(0, bytes);
  }

  /**
   * The group of this name, for its figures and limits; regions, maps and files name their group when they are made. A name
   * of 1 to 31 bytes of UTF-8. Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE, ERR_QUIRE_OUT_OF_MEMORY (64 groups),
   * ERR_QUIRE_UNSUPPORTED (`swapLimit` with `virtual: false`).
   */
  group(name: string, options: GroupOptions = {}): Group {
    this.checkOpen();
    const checked = checkGroupName(checkName('group', name));
    if (options?.swapLimit !== undefined) checkSwapLimits(this.memory);
    const group = new Group(this.memory, checked, options, this.sharedHandle.budgetBytes, (closed) =>
      this.children.delete(closed),
    );
    this.children.add(group);
    return group;
  }

  /**
   * Adds a tier while the instance runs, as swapon(8): a file, or the compressed tier when that is off. Resolves with its
   * name, which `swapoff` and `stats().tiers` know it by. For the thread that opened the instance; the others use the
   * tier from then on. Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE (eight files are in use, or too large a size), ERR_QUIRE_IO (the file
   * cannot be made), ERR_QUIRE_UNSUPPORTED (an attached thread, `virtual: false`, a codec that this Node does not have, another
   * codec for the compressed tier than it was opened with).
   */
  async swapon(tier: TierOptions): Promise<string> {
    this.checkOpen();
    return this.ownParts('swapon').tiers.on(tier, this.sharedHandle.budgetBytes);
  }

  /**
   * Takes a tier out of use: `'compressed'`, or the name of a file. What it holds moves to the other files, and when they
   * are full to the compressed tier (from that, to the files); page tables are not touched, and pages can be used all the
   * while. The space of the file is given back. After `swapoff('compressed')` pages pass through memory on their way to
   * the files only. Resolves with what was moved; pages that cannot be read back are lost for their readers
   * (ERR_QUIRE_IO, ERR_QUIRE_CORRUPT), counted, and hold up nothing.
   *
   * Throws ERR_QUIRE_SWAP_FULL, at once when the rest cannot hold the data, later when it turns out so; the reason of
   * `signal` when that is aborted: the tier is in use again then, and nothing is lost. Also ERR_QUIRE_INVALID_ARG,
   * ERR_QUIRE_UNSUPPORTED (an attached thread, `virtual: false`), ERR_QUIRE_CLOSED.
   */
  async swapoff(tier: string, options: SwapoffOptions = {}): Promise<SwapoffProgress> {
    this.checkOpen();
    return this.ownParts('swapoff').tiers.off(tier, options);
  }

  /** Descriptors that an attached worker opens are closed when it ends, so tiers are the owner's business. */
  private ownParts(what: string): OwnedParts {
    if (!this.memory.nodes[0].isVirtual)
      throw new QuireError('ERR_QUIRE_UNSUPPORTED', `${what} needs the option virtual: true`);
    if (this.owns !== undefined) return this.owns;
    throw new QuireError('ERR_QUIRE_UNSUPPORTED', `${what} is for the thread that opened the instance`);
  }

  /** Gauges and counters of the whole instance, under their /proc/vmstat names. */
  stats(): QuireStats {
    this.checkOpen();
    this.memory.freeDetached();
    return collectStats(this.memory.nodes, this.sharedHandle.budgetBytes, this.meter.read(), this.owns?.tiers.paths);
  }

  /** Lets inline daemons (`threads: 0`) work; with daemon threads it does nothing. */
  poll(): void {
    this.checkOpen();
    try {
      this.inline?.poll();
    } catch (error) {
      throw this.memory.latch(error);
    }
  }

  /**
   * Closes files (written back first), regions and maps of this object; the owner also writes back what other threads
   * left dirty, stops the daemons and ends the instance for everybody. Serialised and idempotent. Throws ERR_QUIRE_IO
   * when bytes of a file could not be written, which are lost then, and ERR_QUIRE_FAILED when a frame or slot did not
   * come back; all is closed nevertheless.
   */
  close(): Promise<void> {
    this.closing ??= this.closeOnce();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async closeOnce(): Promise<void> {
    const { nodes } = this.memory;
    const failed = Atomics.load(nodes[0].words, L.H_STATE) !== L.STATE_OPEN;
    let unwritten: unknown;
    await this.owns?.tiers.settle();
    if (!failed) {
      unwritten = await this.files.closeAll();
      for (const child of [...this.children]) child.close();
    }
    if (this.owns !== undefined) unwritten = (await this.endInstance(this.owns, failed)) ?? unwritten;
    else this.leave();
    this.descriptors.end();
    if (unwritten !== undefined) throw unwritten;
  }

  /** For the owner. Returns an error of writing back what others left dirty. */
  private async endInstance({ pool, tiers }: OwnedParts, failed: boolean): Promise<unknown> {
    const { nodes } = this.memory;
    const unwritten = failed ? undefined : await this.files.settleOthers();
    await pool.close();
    try {
      const left = failed ? [] : this.checkReturned();
      for (const each of left) await this.files.closeDescriptors(each);
    } finally {
      for (const node of nodes) Atomics.compareExchange(node.words, L.H_STATE, L.STATE_OPEN, L.STATE_CLOSED);
      this.leave();
      tiers.close();
    }
    return unwritten;
  }

  /**
   * What attached threads left open is closed for them; then everything must be back. Threads still at work make that
   * impossible to check.
   */
  private checkReturned(): LeftDescriptors[] {
    const { nodes } = this.memory;
    if (liveThreads(nodes[0]) > 1) return [];
    try {
      clearPins(nodes);
      const left = this.files.freeLeft();
      for (const region of regionsInUse(nodes[0])) forceCloseRegion(this.memory, region);
      freeDetached(nodes);
      for (const node of nodes) checkEmpty(node);
      checkGroups(nodes);
      return left;
    } catch (error) {
      throw this.memory.latch(error);
    }
  }

  private makeOwner(): RegionOwner {
    return {
      memory: this.memory,
      clone: (region, options) => makeClone(this.owner, region, options, (clone) => this.children.add(clone)),
      forget: (region) => {
        this.children.delete(region);
        if (Atomics.load(this.memory.nodes[0].words, L.H_STATE) === L.STATE_OPEN) closeRegion(this.memory, region.id);
      },
    };
  }

  /** A failed instance may hold a lock for ever: then only the thread slot is given up. */
  private leave(): void {
    const { nodes } = this.memory;
    this.watch.stop();
    for (const node of nodes) node.stalls = undefined;
    this.meter.leave();
    if (Atomics.load(nodes[0].words, L.H_STATE) === L.STATE_FAILED) abandonThread(nodes, this.thread);
    else detachThread(nodes, this.thread);
  }

  private checkOpen(): void {
    if (this.closing !== undefined) throw new QuireError('ERR_QUIRE_CLOSED', 'the instance is closed');
    this.memory.checkAlive();
  }
}

interface OwnedParts {
  readonly pool: WorkerPool;
  readonly tiers: SwapTiers;
}

function checkAccess(access: unknown): Access | undefined {
  if (access === undefined || ACCESS_HINTS.some((hint) => hint === access)) return access as Access | undefined;
  throw invalidArg('access', "'auto', 'sequential' or 'random'", access);
}
