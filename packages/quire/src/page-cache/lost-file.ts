/**
 * Files whose inode lock was lost with a dead thread, and that nobody has open any more. What was acknowledged is written
 * back; then the file gives up its name, so that the next who opens it reads it from the disk anew. Its inode, clean by then,
 * stays until the instance closes, since its descriptors are the owner's to close.
 */
import * as L from '../arena/layout.ts';
import { isLost } from '../arena/node-lock.ts';
import { QuireError } from '../base/errors.ts';
import { regionAt } from '../page-table/page-table.ts';
import type { Memory } from '../vm/memory.ts';
import { isOpenFileLocked } from '../vm/region-table.ts';
import { inodeOf } from './inode.ts';
import { openFiles } from './open-files.ts';
import { writeBackFileNow } from './sync.ts';

/**
 * For who buries a thread, when its uses are given back. Writes, and waits for the device. A file that cannot be written back, or
 * is locked for too long, stays lost, and those behind it are left to the next call.
 */
export function forgetLostFiles(memory: Memory): void {
  try {
    for (const region of openFiles(memory)) if (isLeftLost(memory, region)) forgetLostFile(memory, region);
  } catch (error) {
    if (!(error instanceof QuireError)) throw error;
  }
}

function forgetLostFile(memory: Memory, region: number): void {
  writeBackFileNow(memory, inodeOf(memory, region));
  const node = memory.nodes[0];
  node.lock();
  const isClean = isLeftLostLocked(memory, region) && inodeOf(memory, region)[L.I_DIRTY_PAGES] === 0;
  if (isClean) node.bytes[(regionAt(region) + L.R_NAME) * 4] = 0;
  node.unlock();
}

function isLeftLost(memory: Memory, region: number): boolean {
  const node = memory.nodes[0];
  node.lock();
  const isLeft = isLeftLostLocked(memory, region);
  node.unlock();
  return isLeft;
}

/** Has the file an inode lock that nobody gets, and nobody who might close it? */
function isLeftLostLocked(memory: Memory, region: number): boolean {
  const node = memory.nodes[0];
  const at = regionAt(region);
  if (!isOpenFileLocked(node, region) || node.words[at + L.R_CONTROL] === 0 || node.words[at + L.R_REFS] !== 0)
    return false;
  return isLost(inodeOf(memory, region), L.I_LOCK);
}
