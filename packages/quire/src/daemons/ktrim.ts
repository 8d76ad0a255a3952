/** ktrim: gives the ends of swap files back to the file system, a segment cleaned or a file cut off at a time. */
import { FileCleaner } from '../swap/file-cleaner.ts';
import { FileTrimmer } from '../swap/file-trimmer.ts';
import type { Memory } from '../vm/memory.ts';
import type { Daemon } from './daemon.ts';

export class Ktrim implements Daemon {
  readonly name = 'ktrim';
  private readonly trimmer: FileTrimmer | undefined;

  constructor({ nodes, device }: Memory) {
    if (device === undefined) return;
    const cleaners = nodes.map((node) => new FileCleaner(node, device));
    this.trimmer = new FileTrimmer(nodes, device, cleaners);
  }

  step(): boolean {
    return this.trimmer?.step() === true;
  }
}
