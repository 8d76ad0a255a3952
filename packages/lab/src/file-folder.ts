/** A folder for the files of a benchmark, on the file system that a column is about, and what that file system is. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from './paths.ts';
import { undoLater } from './undo.ts';

/** f_type of statfs(2). ext2, ext3 and ext4 share one number. */
const TYPES: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
};

export interface FileFolder {
  readonly path: string;
  /** Name of the file system type, or its number in hexadecimal. */
  readonly fileSystem: string;
  /** Removes the folder with what is in it. Runs by itself when the lab ends. */
  remove(): void;
}

export function fileSystemOf(path: string): string {
  const type = statfsSync(path).type;
  return TYPES[type] ?? `0x${type.toString(16)}`;
}

/** A new folder on `wanted` if one of the usual places is there, else in the first of them. */
export function makeFileFolder(wanted: string): FileFolder {
  const places = wanted === 'tmpfs' ? ['/dev/shm', tmpdir()] : [tmpdir(), '/var/tmp', repositoryRoot];
  const there = places.filter((place) => existsSync(place));
  const parent = there.find((place) => fileSystemOf(place) === wanted) ?? there[0];
  const path = mkdtempSync(join(parent, 'quire-lab-files-'));
  const remove = undoLater(() => rmSync(path, { recursive: true, force: true }));
  return { path, fileSystem: fileSystemOf(path), remove };
}

/** The device's name from /proc/self/mountinfo, for a report; 'unknown' when the kernel does not list it. */
export function deviceOf(path: string): string {
  const { dev } = statSync(path);
  const number = `${Math.floor(dev / 256)}:${dev % 256}`;
  const lines = existsSync('/proc/self/mountinfo') ? readFileSync('/proc/self/mountinfo', 'utf8').split('\n') : [];
  const line = lines.find((text) => text.split(' ')[2] === number);
  return line?.split(' - ')[1]?.split(' ')[1] ?? 'unknown';
}
