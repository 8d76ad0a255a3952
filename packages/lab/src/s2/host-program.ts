/** native/host-file.c, compiled and started: a C loop over a file of the host's page cache. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ColumnAbsent } from '../benchmark.ts';
import { Child } from '../child.ts';
import { cacheFolder, packageRoot } from '../paths.ts';

/** Sizes of the folios of a file in bytes; 0 when the kernel does not tell (not root). */
export interface HostFolios {
  readonly smallestBytes: number;
  readonly largestBytes: number;
}

/** Compiles the program. Throws ColumnAbsent when the machine has no C compiler. */
export function compileHostFile(column: string): string {
  const program = join(cacheFolder(), 'host-file');
  const result = spawnSync('cc', ['-O2', '-o', program, join(packageRoot, 'native/host-file.c')], { encoding: 'utf8' });
  if (result.error !== undefined) throw new ColumnAbsent(column, 'no C compiler (apt-get install gcc)');
  if (result.status !== 0) throw new Error(`cc: ${result.stderr}`);
  return program;
}

export function startHostFile(program: string, path: string, chunkBytes: number): Child {
  return new Child(program, [path, `${chunkBytes}`]);
}
