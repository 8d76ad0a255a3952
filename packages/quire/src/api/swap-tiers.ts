/** The tiers of an instance as its owner has them: the files behind the devices, opened, added and closed. */
import type { Node } from '../arena/node.ts';
import { QuireError } from '../base/errors.ts';
import { closeSwapFile, isUnused, openSwapFile, retireDescriptor } from '../daemons/file-device.ts';
import { addDevice, NO_DEVICE } from '../swap/file-devices.ts';
import type { ResolvedFileTier } from './options.ts';

/** A swap file that is open but not in use yet. */
export interface OpenedFile extends ResolvedFileTier {
  readonly fd: number;
}

/** Makes all the files, or none. Throws ERR_QUIRE_IO. */
export function openSwapFiles(tiers: readonly ResolvedFileTier[]): OpenedFile[] {
  const opened: OpenedFile[] = [];
  try {
    for (const tier of tiers) opened.push({ ...tier, fd: openSwapFile(tier.path) });
  } catch (error) {
    closeSwapFiles(opened);
    throw error;
  }
  return opened;
}

export function closeSwapFiles(files: readonly OpenedFile[]): void {
  for (const { fd } of files) closeSwapFile(fd);
}

export class SwapTiers {
  private readonly nodes: readonly Node[];
  private readonly paths = new Map<number, string>();
  /** Priorities of those that were given none fall from here. */
  private nextPriority = -1;

  constructor(nodes: readonly Node[]) {
    this.nodes = nodes;
  }

  /** Takes an open file into use. Returns its device. Throws ERR_QUIRE_RANGE when there is no number left for it. */
  add(file: OpenedFile): number {
    const device = addDevice(this.nodes, file.fd, file.bytes, file.priority ?? this.nextPriority);
    if (device === NO_DEVICE) throw new QuireError('ERR_QUIRE_RANGE', 'no more file tiers: eight, or 64 GiB a node');
    if (file.priority === undefined) this.nextPriority--;
    this.paths.set(device, file.path);
    return device;
  }

  /**
   * Nobody works on the instance any more, or nobody should. A descriptor that a thread has in hand all the same stays
   * open: its number must not come to name another file.
   */
  close(): void {
    const home = this.nodes[0].words;
    for (const device of this.paths.keys()) {
      const fd = retireDescriptor(home, device);
      if (fd >= 0 && isUnused(home, device)) closeSwapFile(fd);
    }
  }
}
