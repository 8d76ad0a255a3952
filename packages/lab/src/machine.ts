/** Where the figures were taken. Never a host name: a report may be published. */
import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { repositoryRoot } from './paths.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
}

export function machineHere(): Machine {
  const processors = cpus();
  return {
    cpu: processors.length > 0 ? processors[0].model.trim() : 'unknown',
    cores: processors.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
  };
}

/** Short hash of HEAD, `+` behind it when tracked files differ, `none` outside a repository with commits. */
export function commitHere(): string {
  const head = git(['rev-parse', '--short=12', '--verify', '--quiet', 'HEAD']);
  if (head === null) return 'none';
  const changes = git(['status', '--porcelain', '--untracked-files=no']);
  return changes === null || changes === '' ? head : `${head}+`;
}

function git(args: readonly string[]): string | null {
  const result = spawnSync('git', [...args], { cwd: repositoryRoot, encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : null;
}
