/** One handle on a file of the simulated disk, as one thread sees it: what QuireFile is on real files. */
import { balanceDirty } from '../page-cache/dirty-throttle.ts';
import type { ErrorCursor } from '../page-cache/errseq.ts';
import { FileSpace } from '../page-cache/file-space.ts';
import { closeInode, openInode, rememberMtime } from '../page-cache/inode.ts';
import { READAHEAD_BYTES_DEFAULT, Readahead } from '../page-cache/readahead.ts';
import { openErrors, syncFileNow } from '../page-cache/sync.ts';
import type { Memory } from '../vm/memory.ts';
import type { FilePlan, FileThread } from './world.ts';

export interface OpenPin {
  readonly bytes: Uint8Array;
  release(): void;
}

export class OpenFile {
  readonly inode: Int32Array;
  private readonly memory: Memory;
  private readonly region: number;
  private readonly plan: FilePlan;
  private readonly space: FileSpace;
  private readonly errors: ErrorCursor;

  constructor(memory: Memory, plan: FilePlan) {
    const opened = openInode(memory, {
      name: `file:1:${plan.number}`,
      readFd: plan.fd,
      writeFd: plan.fd,
      look: () => ({ size: plan.disk.size, mtimeNs: plan.disk.mtimeNs }),
    });
    this.memory = memory;
    this.plan = plan;
    this.region = opened.region;
    this.inode = opened.inode;
    this.errors = openErrors(opened.inode);
    this.space = new FileSpace(memory, opened.region, opened.inode, {
      readahead: new Readahead(READAHEAD_BYTES_DEFAULT),
      balance: () => balanceDirty(memory, opened.region),
    });
  }

  read(position: number, target: Uint8Array, offset: number, length: number): number {
    return this.space.read(position, target, offset, length);
  }

  write(position: number, source: Uint8Array, offset: number, length: number): number {
    return this.space.write(position, source, offset, length);
  }

  append(source: Uint8Array, offset: number, length: number): { position: number; written: number } {
    return this.space.append(source, offset, length);
  }

  truncate(size: number): void {
    this.space.truncate(size);
  }

  missAt(position: number, length: number): number {
    return this.space.missAt(position, length);
  }

  fillAsync(position: number, pages: number, order: number): Promise<void> {
    return this.space.fillAsync(position, pages, order);
  }

  /** Throws ERR_QUIRE_IO when this handle was not told of an error yet. */
  sync(): void {
    syncFileNow(this.memory, this.inode, this.errors, () => this.plan.disk.flush());
    rememberMtime(this.inode, this.plan.disk.mtimeNs);
  }

  pin(position: number, length: number): OpenPin {
    const held = this.space.pin(position, length);
    return { bytes: held.bytes, release: () => this.space.unpin(held) };
  }

  close(): void {
    this.space.close();
    closeInode(this.memory, this.region);
  }
}

export function openFile(thread: FileThread, plan: FilePlan): OpenFile {
  return new OpenFile(thread.memory, plan);
}
