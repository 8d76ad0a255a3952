/** Where the lab finds its sources and keeps what it can make again. */
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const packageRoot = fileURLToPath(new URL('..', import.meta.url));
export const repositoryRoot = fileURLToPath(new URL('../../..', import.meta.url));

/** A built file of the lab, as a path to start a child from: `builtFile('swap/quire-child.js')`. */
export function builtFile(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** Folder for the corpus, compiled host programs and other files that a later run may use again. */
export function cacheFolder(): string {
  const folder = join(tmpdir(), 'quire-lab');
  mkdirSync(folder, { recursive: true });
  return folder;
}
