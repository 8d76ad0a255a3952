/**
 * The host kernel's memory system as a column: a memory cgroup with a limit and a zram device (LZ4) as its swap, so that
 * resident + compressed bytes can be held to the same total as a Quire budget.
 *
 * Both are made for one run and taken away again, also on a signal. What they were called is written to a file first:
 * when a run is killed outright, the next one removes its leftovers. Only root can do this; on a machine that lacks a
 * piece, `HostSwap.open` throws ColumnAbsent with the reason.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ColumnAbsent } from './benchmark.ts';
import { Cgroup, cgroupRoot } from './cgroup.ts';
import { cacheFolder } from './paths.ts';
import { undoLater } from './undo.ts';

const ZRAM_CONTROL = '/sys/class/zram-control';
const PAGE_CLUSTER = '/proc/sys/vm/page-cluster';
/** Above any swap the machine has, so that the kernel uses this device first. */
const SWAP_PRIORITY = 32767;

export interface Usage {
  /** Bytes charged to the cgroup: resident pages, page tables and other kernel memory of its processes. */
  readonly residentBytes: number;
  /** Bytes that zram takes from the machine, its own fragmentation included. */
  readonly compressedBytes: number;
  /** Bytes of swapped pages before compression. */
  readonly originalBytes: number;
}

interface Owned {
  readonly pid: number;
  readonly zram: number;
  readonly cgroup: string;
}

export class HostSwap {
  readonly cgroup: Cgroup;
  readonly #zram: number;
  #close: () => void = () => undefined;

  private constructor(cgroup: Cgroup, zram: number) {
    this.cgroup = cgroup;
    this.#zram = zram;
  }

  /**
   * @param deviceBytes size of the swap device before compression
   * Throws ColumnAbsent when the machine cannot do it, or another run has its swap on.
   */
  static open(column: string, deviceBytes: number): HostSwap {
    const reason = whyAbsent();
    if (reason !== null) throw new ColumnAbsent(column, reason);
    removeLeftovers();
    if (hasLabSwap()) throw new ColumnAbsent(column, 'another lab run has its swap on');
    const zram = Number(readFileSync(join(ZRAM_CONTROL, 'hot_add'), 'utf8'));
    const name = `quire-lab-${process.pid}`;
    writeFileSync(ownedFile(), JSON.stringify({ pid: process.pid, zram, cgroup: name } satisfies Owned));
    const close = undoLater(() => remove({ pid: process.pid, zram, cgroup: name }));
    try {
      startZram(zram, deviceBytes);
      const host = new HostSwap(Cgroup.make(name), zram);
      host.#close = close;
      return host;
    } catch (error) {
      close();
      throw new ColumnAbsent(column, error instanceof Error ? error.message : String(error));
    }
  }

  usage(): Usage {
    const fields = readFileSync(`/sys/block/zram${this.#zram}/mm_stat`, 'utf8').trim().split(/\s+/).map(Number);
    return { residentBytes: this.cgroup.usageBytes(), compressedBytes: fields[2], originalBytes: fields[0] };
  }

  get algorithm(): string {
    const list = readFileSync(`/sys/block/zram${this.#zram}/comp_algorithm`, 'utf8');
    return /\[(.+)\]/.exec(list)?.[1] ?? 'unknown';
  }

  /** Takes the swap away and brings all of it back; ms. The cgroup must have room. */
  swapoff(): number {
    const started = performance.now();
    command('swapoff', [`/dev/zram${this.#zram}`]);
    return performance.now() - started;
  }

  close(): void {
    this.#close();
  }
}

/** The kernel's swap readahead, as a power of two of pages. */
export function pageCluster(): number {
  return Number(readFileSync(PAGE_CLUSTER, 'utf8'));
}

function whyAbsent(): string | null {
  if (process.platform !== 'linux') return 'only Linux has zram';
  if (process.getuid?.() !== 0) return 'needs root (zram and a memory cgroup)';
  if (cgroupRoot() === null) return 'no memory cgroup that can be written';
  if (!existsSync(ZRAM_CONTROL)) spawnSync('modprobe', ['zram']);
  if (!existsSync(ZRAM_CONTROL)) return 'the kernel has no zram';
  return null;
}

function startZram(zram: number, deviceBytes: number): void {
  const block = `/sys/block/zram${zram}`;
  const device = `/dev/zram${zram}`;
  writeFileSync(join(block, 'comp_algorithm'), 'lz4');
  writeFileSync(join(block, 'disksize'), `${deviceBytes}`);
  if (!existsSync(device)) {
    const [major, minor] = readFileSync(join(block, 'dev'), 'utf8').trim().split(':');
    command('mknod', [device, 'b', major, minor]);
  }
  command('mkswap', [device]);
  command('swapon', ['-p', `${SWAP_PRIORITY}`, device]);
}

/** Processes first, since taking the swap away from a living one would bring its pages back into the limit. */
function remove(owned: Owned): void {
  Cgroup.remove(owned.cgroup);
  spawnSync('swapoff', [`/dev/zram${owned.zram}`]);
  if (existsSync(`/sys/block/zram${owned.zram}`)) {
    writeFileSync(`/sys/block/zram${owned.zram}/reset`, '1');
    writeFileSync(join(ZRAM_CONTROL, 'hot_remove'), `${owned.zram}`);
  }
  rmSync(ownedFile(), { force: true });
}

function removeLeftovers(): void {
  if (!existsSync(ownedFile())) return;
  const owned = JSON.parse(readFileSync(ownedFile(), 'utf8')) as Owned;
  if (!existsSync(`/proc/${owned.pid}`)) remove(owned);
}

function hasLabSwap(): boolean {
  return readFileSync('/proc/swaps', 'utf8')
    .split('\n')
    .some((line) => line.trimEnd().endsWith(`\t${SWAP_PRIORITY}`));
}

function ownedFile(): string {
  return join(cacheFolder(), 'host-swap.json');
}

function command(name: string, args: readonly string[]): void {
  const result = spawnSync(name, [...args], { encoding: 'utf8' });
  if (result.error !== undefined) throw new Error(`${name}: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${name}: ${result.stderr.trim()}`);
}
