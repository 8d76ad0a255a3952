/**
 * What the host kernel takes for a swap device of 1 TB that nothing is swapped to: a sparse file, a loop device on it,
 * mkswap, swapon, and the difference that makes to /proc/meminfo. Needs root. All of it is taken away again, also on a
 * signal; what a killed run left is removed by the next one, which finds it by the file's name.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, ftruncateSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ColumnAbsent } from '../benchmark.ts';
import { cacheFolder } from '../paths.ts';
import { undoLater } from '../undo.ts';
import { HOST } from '../usemem/host-usemem.ts';

export const DEVICE_BYTES = 2 ** 40;
const FILE_PREFIX = 'idle-swap-';
/** Below any other swap the machine has: nothing shall go there. */
const SWAP_PRIORITY = 0;

export interface IdleSwapCost {
  /** Growth of VmallocUsed and Slab: the tables of the device. */
  readonly tableBytes: number;
  /** Shrinking of MemFree, in which other processes take part. */
  readonly freeBytesLost: number;
}

/** Throws ColumnAbsent when the machine cannot do it. */
export function measureIdleSwap(): IdleSwapCost {
  if (process.platform !== 'linux') throw new ColumnAbsent(HOST, 'only Linux has swapon');
  if (process.getuid?.() !== 0) throw new ColumnAbsent(HOST, 'needs root (losetup, swapon)');
  removeLeftovers();
  const file = join(cacheFolder(), `${FILE_PREFIX}${process.pid}`);
  const undo = undoLater(() => takeAway(file));
  try {
    makeSparse(file);
    const device = command('losetup', ['--find', '--show', file]);
    command('mkswap', [device]);
    const before = meminfo();
    command('swapon', ['-p', `${SWAP_PRIORITY}`, device]);
    const after = meminfo();
    const grown = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
    return { tableBytes: grown('VmallocUsed') + grown('Slab'), freeBytesLost: -grown('MemFree') };
  } catch (error) {
    throw error instanceof ColumnAbsent ? error : new ColumnAbsent(HOST, String(error));
  } finally {
    undo();
  }
}

function makeSparse(file: string): void {
  const descriptor = openSync(file, 'w', 0o600);
  ftruncateSync(descriptor, DEVICE_BYTES);
  closeSync(descriptor);
}

/** In bytes, by name. */
function meminfo(): Record<string, number> {
  const lines = readFileSync('/proc/meminfo', 'utf8').split('\n');
  return Object.fromEntries(
    lines
      .map((line) => /^(\w+):\s+(\d+) kB/.exec(line))
      .filter((match) => match !== null)
      .map((match) => [match[1], Number(match[2]) * 1024]),
  );
}

/** Whatever of it is there. */
function takeAway(file: string): void {
  for (const device of devicesOn(file)) {
    if (isSwapDevice(device)) command('swapoff', [device]);
    command('losetup', ['--detach', device]);
  }
  rmSync(file, { force: true });
}

function devicesOn(file: string): string[] {
  const { stdout } = spawnSync('losetup', ['--noheadings', '--output', 'NAME', '--associated', file], {
    encoding: 'utf8',
  });
  return (stdout ?? '').split('\n').filter((name) => name !== '');
}

function isSwapDevice(device: string): boolean {
  return readFileSync('/proc/swaps', 'utf8')
    .split('\n')
    .some((line) => line.split(/\s+/)[0] === device);
}

function removeLeftovers(): void {
  for (const name of readdirSync(cacheFolder())) {
    if (!name.startsWith(FILE_PREFIX) || existsSync(`/proc/${name.slice(FILE_PREFIX.length)}`)) continue;
    takeAway(join(cacheFolder(), name));
  }
}

function command(name: string, args: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync(name, [...args], { encoding: 'utf8' });
  if (error !== undefined) throw new Error(`${name}: ${error.message}`);
  if (status !== 0) throw new Error(`${name}: ${stderr.trim()}`);
  return stdout.trim();
}
