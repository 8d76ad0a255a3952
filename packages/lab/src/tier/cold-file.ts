/**
 * A file put out of the host's page cache, without asking for root and without touching anybody else's: written back
 * first (dirty pages cannot be dropped), then POSIX_FADV_DONTNEED, which Node does not have and coreutils' dd does. An
 * unlinked file is reached through the descriptor of the process that has it open.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';

/** The path of this process' descriptor of a deleted file in `folder`, as other processes can open it. */
export function pathOfUnlinked(folder: string): string {
  for (const fd of readdirSync('/proc/self/fd')) {
    const target = linkOf(`/proc/self/fd/${fd}`);
    if (target.startsWith(folder) && target.endsWith(' (deleted)')) return `/proc/${process.pid}/fd/${fd}`;
  }
  throw new Error(`no unlinked file of ${folder} is open`);
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // the descriptor of the listing itself is gone by now
  }
}

/** False when the machine has no way to do it. */
export function dropFromPageCache(path: string): boolean {
  const synced = spawnSync('sync', [path]);
  const dropped = spawnSync('dd', [`if=${path}`, 'of=/dev/null', 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
  return synced.status === 0 && dropped.status === 0;
}
