/**
 * The files that one thread has open: from a descriptor to the file's inode in the instance, and back. The descriptors of
 * a file's first handles serve all of them (page-cache/inode.ts); those of later handles are closed at once, and the last
 * handle closes the rest.
 *
 * Every handle that closes writes back what is dirty, whoever wrote it: two that close at the same moment cannot each take
 * the other for the one that will. So the pages of a file without handles are clean, and can go.
 */
import { type BigIntStats, fdatasync, fstat, fstatSync, fsync, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { FileSpace } from '../page-cache/file-space.ts';
import { closeInode, inodeOf, type LeftDescriptors, openInode, rememberMtime } from '../page-cache/inode.ts';
import { forgetLostFiles } from '../page-cache/lost-file.ts';
import { openFiles } from '../page-cache/open-files.ts';
import { Readahead } from '../page-cache/readahead.ts';
import { openErrors, syncFile, takeError, writeBackFile } from '../page-cache/sync.ts';
import { regionAt } from '../page-table/page-table.ts';
import type { Memory } from '../vm/memory.ts';
import { forceCloseRegion } from '../vm/region-table.ts';
import type { Descriptors } from './descriptors.ts';
import { type OpenRequest, openRegular } from './file-descriptor.ts';
import { fileError } from './file-error.ts';
import { OpenFile } from './open-file.ts';
import { type FileOwner, QuireFile } from './quire-file.ts';
import { WritePace } from './write-pace.ts';

const fsyncAsync = promisify(fsync);
const fdatasyncAsync = promisify(fdatasync);
const fstatAsync = promisify(fstat) as (fd: number, options: { bigint: boolean }) => Promise<Stats | BigIntStats>;

export class FileHost implements FileOwner {
  private readonly memory: Memory;
  private readonly descriptors: Descriptors;
  private readonly readaheadBytes: number;
  private readonly open = new Map<QuireFile, OpenFile>();

  constructor(memory: Memory, descriptors: Descriptors, readaheadBytes: number) {
    this.memory = memory;
    this.descriptors = descriptors;
    this.readaheadBytes = readaheadBytes;
  }

  /** `checkOpen` throws when the instance was closed meanwhile. */
  async openFile(request: OpenRequest, checkOpen: () => void): Promise<QuireFile> {
    const { fd, name } = await openRegular(this.descriptors, request);
    return this.adopt(request, fd, name, checkOpen);
  }

  /** An open that failed may have found the file's writer dead, and was its only user then: the next one finds it anew. */
  private forgetLost(): void {
    try {
      forgetLostFiles(this.memory);
    } catch (error) {
      throw this.memory.latch(error);
    }
  }

  /** Takes the descriptor over, also when it throws. */
  private async adopt(request: OpenRequest, fd: number, name: string, checkOpen: () => void): Promise<QuireFile> {
    const { memory } = this;
    const { access, shown, group } = request;
    let isKept = false;
    try {
      checkOpen();
      const writeFd = access.writes ? fd : -1;
      const { region, inode, ...kept } = openInode(memory, {
        name,
        group,
        readFd: fd,
        writeFd,
        look: () => diskState(fd),
      });
      isKept = kept.keepsReadFd || kept.keepsWriteFd;
      const readahead = new Readahead(this.readaheadBytes);
      const pace = new WritePace(memory, region);
      const space = new FileSpace(memory, region, inode, { readahead, balance: pace.afterWrite });
      try {
        if (access.truncates && space.size() > 0) space.truncate(0);
      } catch (error) {
        await this.leave(space);
        throw error;
      }
      const handle = new OpenFile(shown, memory, space, access, { readahead, pace, errors: openErrors(inode) });
      const file = new QuireFile(handle, this);
      this.open.set(file, handle);
      return file;
    } catch (error) {
      this.forgetLost();
      throw memory.latch(fileError(shown, 'open', error));
    } finally {
      if (!isKept) await this.descriptors.close(fd);
    }
  }

  async sync({ space, errors }: OpenFile, withMetadata: boolean): Promise<void> {
    const fd = descriptorOf(space);
    const flushDevice = withMetadata ? fsyncAsync : fdatasyncAsync;
    await syncFile(this.memory, space.inode, errors, () => flushDevice(fd));
    rememberMtime(space.inode, diskState(fd).mtimeNs);
  }

  async stat({ space }: OpenFile, bigint: boolean): Promise<Stats | BigIntStats> {
    const stats = await fstatAsync(descriptorOf(space), { bigint });
    const size = space.size();
    return Object.assign(stats, { size: bigint ? BigInt(size) : size });
  }

  async close(file: QuireFile, { space, errors }: OpenFile): Promise<void> {
    const { inode } = space;
    // The owner has written back and ended the instance; what is left of the file goes with it.
    if (Atomics.load(this.memory.nodes[0].words, L.H_STATE) === L.STATE_CLOSED) {
      this.open.delete(file);
      return;
    }
    // Also when nothing is dirty: what is being written may be refused, and dirty again.
    if (Atomics.load(inode, L.I_WRITE_FD) !== 0) await writeBackFile(this.memory, inode);
    if (Atomics.load(inode, L.I_DIRTY_PAGES) > 0) {
      const error = takeError(inode, errors);
      if (error !== undefined) throw error;
      // Told of it before. As long as somebody has the file open its bytes are not lost.
      if (this.isLast(space)) throw new QuireError('ERR_QUIRE_IO', 'some pages cannot be written back');
    }
    this.open.delete(file);
    await this.leave(space);
  }

  /**
   * Closes all handles of this thread. What cannot be written back is lost then; returns the first error, when there was
   * one.
   */
  async closeAll(): Promise<unknown> {
    let failure: unknown;
    for (const [file, handle] of [...this.open]) {
      try {
        await file.close();
      } catch (error) {
        failure ??= error;
        if (this.open.delete(file)) await handle.abandon(() => this.leave(handle.space));
      }
    }
    return failure;
  }

  /** For the owner, when its own files are closed: writes back what handles of other threads left dirty. */
  async settleOthers(): Promise<unknown> {
    for (const region of openFiles(this.memory)) await writeBackFile(this.memory, inodeOf(this.memory, region));
    const isLost = openFiles(this.memory).some((region) => inodeOf(this.memory, region)[L.I_DIRTY_PAGES] > 0);
    return isLost ? new QuireError('ERR_QUIRE_IO', 'some pages of a file cannot be written back') : undefined;
  }

  /** Frees what threads that are gone left open; nobody is attached but the owner. */
  freeLeft(): LeftDescriptors[] {
    return openFiles(this.memory).map((region) => {
      const inode = inodeOf(this.memory, region);
      const left = { readFd: inode[L.I_READ_FD] - 1, writeFd: inode[L.I_WRITE_FD] - 1 };
      forceCloseRegion(this.memory, region);
      return left;
    });
  }

  async closeDescriptors(left: LeftDescriptors | undefined): Promise<void> {
    if (left === undefined) return;
    for (const fd of new Set([left.readFd, left.writeFd])) if (fd >= 0) await this.descriptors.close(fd);
  }

  private isLast({ region }: FileSpace): boolean {
    return Atomics.load(this.memory.nodes[0].words, regionAt(region) + L.R_REFS) === 1;
  }

  private async leave(space: FileSpace): Promise<void> {
    space.close();
    await this.closeDescriptors(closeInode(this.memory, space.region));
  }
}

function diskState(fd: number): { readonly size: number; readonly mtimeNs: bigint } {
  const stats = fstatSync(fd, { bigint: true });
  return { size: Number(stats.size), mtimeNs: stats.mtimeNs };
}

/** Any descriptor of the file. */
function descriptorOf(space: FileSpace): number {
  const fd = Atomics.load(space.inode, L.I_WRITE_FD);
  return (fd !== 0 ? fd : Atomics.load(space.inode, L.I_READ_FD)) - 1;
}
