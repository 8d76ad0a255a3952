/** The tiers of an instance as its owner has them: files opened, added, emptied, closed. */
import * as L from '../arena/layout.ts';
import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { formatBytes } from '../base/units.ts';
import { closeSwapFile, emptySwapFile, isUnused, openSwapFile, retireDescriptor } from '../daemons/file-device.ts';
import { Kswapoff } from '../daemons/kswapoff.ts';
import { DRAIN_NO_ROOM, forgetDevice, isDrained, removeDevice, startDrain, stopDrain } from '../swap/drainer.ts';
import { addDevice, bytesForDevice, DEVICE_RETIRED, deviceAt, deviceState, NO_DEVICE } from '../swap/file-devices.ts';
import { endPoolDrain, isPoolDrained, isPoolDrainStuck, startPool, startPoolDrain } from '../swap/pool-drain.ts';
import { canDrainDevice, canDrainPool, devicesInUse, pagesInPool, setPoolShare, tierName } from '../swap/tiers.ts';
import type { Memory } from '../vm/memory.ts';
import { codecsAfter, setTierCodecs } from './codec-options.ts';
import { type ResolvedFileTier, resolveTier, type TierOptions } from './options.ts';

export interface SwapoffProgress {
  /** Pages that were in the tier at the start, and that have left it, freed ones included. */
  readonly pages: number;
  readonly pagesDone: number;
  /** Pages that could not be read back: their readers get ERR_QUIRE_IO or ERR_QUIRE_CORRUPT. */
  readonly pagesLost: number;
}

export interface SwapoffOptions {
  /** Aborting puts the tier on again; nothing is lost, and what was moved stays where it is. */
  readonly signal?: AbortSignal;
  /** Called now and then, and once at the end. What it throws ends the call as aborting does. */
  readonly onProgress?: (progress: SwapoffProgress) => void;
}

const SWAPOFF_OPTIONS: OptionNames<SwapoffOptions> = { signal: true, onProgress: true };

/** A swap file that is open but not in use yet. */
export interface OpenedFile extends ResolvedFileTier {
  readonly fd: number;
}

/** One that is no longer in use: its descriptor is closed when no thread can have it in hand. */
interface RetiredFile {
  readonly device: number;
  readonly fd: number;
}

/** How far emptying a tier is. */
interface Drain {
  isDone(): boolean;
  /** When it was last tried nothing could be moved for want of room. */
  isStuck(): boolean;
}

const POLL_MS = 5;
/** Polls without a page moved, while there is no room: some 2 s in which pages may be freed, or reclaim makes room. */
const IDLE_POLLS_MAX = 400;

/** Makes all the files, or none. Throws ERR_QUIRE_IO. */
export function openSwapFiles(tiers: readonly ResolvedFileTier[]): OpenedFile[] {
  const opened: OpenedFile[] = [];
  try {
    for (const tier of tiers) opened.push({ ...tier, fd: openSwapFile(tier.path) });
  } catch (error) {
    closeSwapFiles(opened);
    throw error;
  }
  return opened;
}

export function closeSwapFiles(files: readonly OpenedFile[]): void {
  for (const { fd } of files) closeSwapFile(fd);
}

export class SwapTiers {
  /** Paths by name, for `stats()`. */
  readonly paths = new Map<string, string>();
  private readonly memory: Memory;
  private readonly home: Int32Array;
  private readonly checkOpen: () => void;
  private readonly retired = new Set<RetiredFile>();
  private readonly running = new Set<Promise<SwapoffProgress>>();
  private inline: Kswapoff | undefined;
  private isClosing = false;
  /** Priorities of those that were given none fall from here. */
  private nextPriority = -1;

  /** `checkOpen` throws once the instance is closed or has failed. */
  constructor(memory: Memory, checkOpen: () => void) {
    this.memory = memory;
    this.home = memory.nodes[0].words;
    this.checkOpen = checkOpen;
  }

  /** Takes an open file into use. Returns its name. Throws ERR_QUIRE_RANGE when there are no numbers left for it, or too few. */
  add(file: OpenedFile): string {
    this.closeRetired();
    const bytesMax = bytesForDevice(this.memory.nodes);
    if (!file.isDefaultSize && bytesMax > 0 && file.bytes > bytesMax) throw tooLarge(file.bytes, bytesMax);
    const device = addDevice(this.memory.nodes, file.fd, file.bytes, file.priority ?? this.nextPriority);
    if (device === NO_DEVICE)
      throw new QuireError(
        'ERR_QUIRE_RANGE',
        'no room for one more file tier: at most 8, and 64 GiB together for each 4 GiB of budget',
      );
    if (file.priority === undefined) this.nextPriority--;
    const name = tierName(this.home, device);
    this.paths.set(name, file.path);
    setPoolShare(this.memory.nodes);
    return name;
  }

  /** Throws ERR_QUIRE_INVALID_ARG when it is on or being emptied. */
  private addPool(): void {
    if (!startPool(this.memory.nodes)) throw new QuireError('ERR_QUIRE_INVALID_ARG', 'the compressed tier is in use');
  }

  /** `Quire.swapon`. */
  on(tier: TierOptions, budgetBytes: number): string {
    const resolved = resolveTier(tier, budgetBytes);
    const codecs = codecsAfter(this.memory.nodes[0], tier);
    if (resolved === 'compressed') {
      this.addPool();
      setTierCodecs(this.memory.nodes, codecs);
      return resolved;
    }
    const opened = openSwapFiles([resolved]);
    try {
      const name = this.add(opened[0]);
      setTierCodecs(this.memory.nodes, codecs);
      return name;
    } catch (error) {
      closeSwapFiles(opened);
      throw error;
    }
  }

  /** `Quire.swapoff`. */
  off(name: string, options: SwapoffOptions): Promise<SwapoffProgress> {
    if (typeof name !== 'string') throw invalidArg('tier', 'the name of a tier', name);
    const running = this.begin(name, checkSwapoff(options)).finally(() => this.running.delete(running));
    this.running.add(running);
    return running;
  }

  private async begin(name: string, options: SwapoffOptions): Promise<SwapoffProgress> {
    options.signal?.throwIfAborted();
    this.memory.freeDetached(); // what nobody wants need not be moved
    if (name === 'compressed') return this.poolOff(options);
    const device = devicesInUse(this.home).find((each) => tierName(this.home, each) === name);
    if (device === undefined) throw invalidArg('tier', 'the name of a tier in use', name);
    return this.deviceOff(device, name, options);
  }

  private async deviceOff(device: number, name: string, options: SwapoffOptions): Promise<SwapoffProgress> {
    const { nodes } = this.memory;
    if (!canDrainDevice(nodes, device)) throw noRoom(name);
    if (!startDrain(nodes, device)) throw new QuireError('ERR_QUIRE_INVALID_ARG', `${name} is being removed already`);
    setPoolShare(nodes);
    const live = (): number => sum(this.memory, deviceAt(device) + L.V_LIVE);
    const progress = new Progress(options, live, () => this.home[deviceAt(device) + L.V_LOST]);
    try {
      await this.drain(name, progress, {
        isDone: () => isDrained(nodes, device),
        isStuck: () => nodes.some(({ words }) => Atomics.load(words, deviceAt(device) + L.V_DRAIN) === DRAIN_NO_ROOM),
      });
    } catch (error) {
      stopDrain(this.home, device);
      setPoolShare(nodes);
      throw error;
    }
    this.takeOut(device, name);
    return progress.now();
  }

  private async poolOff(options: SwapoffOptions): Promise<SwapoffProgress> {
    const { nodes } = this.memory;
    if (!canDrainPool(nodes)) throw noRoom('compressed');
    if (!startPoolDrain(nodes))
      throw new QuireError('ERR_QUIRE_INVALID_ARG', 'the compressed tier is off, or being emptied already');
    const progress = new Progress(
      options,
      () => nodes.reduce((pages, node) => pages + pagesInPool(node), 0),
      () => 0,
    );
    try {
      await this.drain('compressed', progress, {
        isDone: () => isPoolDrained(nodes),
        isStuck: () => isPoolDrainStuck(nodes),
      });
    } catch (error) {
      endPoolDrain(nodes, false);
      throw error;
    }
    endPoolDrain(nodes, true);
    return progress.now();
  }

  /** Until it is done; throws what ends it early. */
  private async drain(name: string, progress: Progress, { isDone, isStuck }: Drain): Promise<void> {
    let idle = 0;
    for (const node of this.memory.nodes) node.wakeDaemons();
    while (!isDone()) {
      const before = progress.done();
      await this.letWork();
      this.checkOpen();
      if (this.isClosing) throw new QuireError('ERR_QUIRE_CLOSED', 'the instance is closed');
      progress.signal?.throwIfAborted();
      progress.report();
      idle = isStuck() && progress.done() === before ? idle + 1 : 0;
      if (idle > IDLE_POLLS_MAX) throw noRoom(name);
    }
    progress.finish();
  }

  /** A turn for the daemon that does the work, or, where none runs, a step of it and a turn for everything else. */
  private async letWork(): Promise<void> {
    if (Atomics.load(this.home, L.H_KSWAPDS) > 0) return pause(POLL_MS);
    this.inline ??= new Kswapoff(this.memory);
    try {
      this.memory.inlineDaemons?.();
      if (this.inline.step()) return await new Promise((resolve) => setImmediate(resolve));
    } catch (error) {
      throw this.memory.latch(error);
    }
    return pause(POLL_MS);
  }

  /** The space of the file goes back at once; the descriptor when nobody can be about to use it. */
  private takeOut(device: number, name: string): void {
    const fd = retireDescriptor(this.home, device);
    try {
      emptySwapFile(fd);
    } catch {
      // The file is unlinked: its space goes with the descriptor, if a little later.
    }
    removeDevice(this.memory.nodes, device);
    this.paths.delete(name);
    this.retired.add({ device, fd });
    this.closeRetired();
  }

  private closeRetired(): void {
    for (const each of this.retired) {
      if (!isUnused(this.home, each.device)) continue;
      closeSwapFile(each.fd);
      if (deviceState(this.home, each.device) === DEVICE_RETIRED) forgetDevice(this.home, each.device);
      this.retired.delete(each);
    }
  }

  /** What is being emptied is on again, before the daemons that do it end. */
  async settle(): Promise<void> {
    this.isClosing = true;
    await Promise.allSettled(this.running);
  }

  /**
   * The instance ends. A descriptor that a thread has in hand all the same stays open: its number must not come to name
   * another file.
   */
  close(): void {
    for (const device of devicesInUse(this.home)) {
      const fd = retireDescriptor(this.home, device);
      if (fd >= 0) this.retired.add({ device, fd });
    }
    this.closeRetired();
  }
}

class Progress {
  readonly signal: AbortSignal | undefined;
  private readonly onProgress: ((progress: SwapoffProgress) => void) | undefined;
  private readonly left: () => number;
  private readonly lost: () => number;
  private readonly pages: number;
  private isFinished = false;
  private reported = -1;

  constructor({ signal, onProgress }: SwapoffOptions, left: () => number, lost: () => number) {
    this.signal = signal;
    this.onProgress = onProgress;
    this.left = left;
    this.lost = lost;
    this.pages = left();
  }

  done(): number {
    return Math.max(0, this.pages - this.left());
  }

  /** Pages come into the pool on their way to the files all the while: the share that is done never falls for that. */
  now(): SwapoffProgress {
    const pagesDone = this.isFinished ? this.pages : Math.max(this.reported, this.done());
    return { pages: this.pages, pagesDone, pagesLost: this.lost() };
  }

  /** What was there at the start has left, whatever came since. */
  finish(): void {
    this.isFinished = true;
    this.report();
  }

  /** Tells who listens, if there is anything new. */
  report(): void {
    const progress = this.now();
    if (progress.pagesDone === this.reported) return;
    this.reported = progress.pagesDone;
    this.onProgress?.(progress);
  }
}

function sum({ nodes }: Memory, at: number): number {
  return nodes.reduce((total, { words }) => total + words[at], 0);
}

function tooLarge(bytes: number, bytesMax: number): QuireError {
  const most = `at most ${formatBytes(bytesMax)}: file tiers have 64 GiB for each 4 GiB of budget, taken together`;
  return outOfRange('size of the file tier', most, bytes);
}

function noRoom(name: string): QuireError {
  return new QuireError('ERR_QUIRE_SWAP_FULL', `the other tiers cannot hold what is in ${name}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function checkSwapoff(options: unknown): SwapoffOptions {
  const checked = checkOptions<SwapoffOptions>('options', options, SWAPOFF_OPTIONS);
  const { signal, onProgress }: Record<string, unknown> = { ...checked };
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidArg('signal', 'an AbortSignal', signal);
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidArg('onProgress', 'a function', onProgress);
  return checked;
}
