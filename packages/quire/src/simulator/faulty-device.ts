/**
 * The file tier of a simulation: bytes in memory, and everything a disk may do. By seed it throws EIO or ENOSPC,
 * gives or takes less than asked, returns damaged bytes once, keeps damaged bytes for good, and is slow: other
 * threads run while a call is under way.
 *
 * It knows each object that was written (the slot in its header) and remembers which ones it has spoilt, so that the
 * checkers can tell an error that had to come from one that must not.
 */
import type { Device } from '../base/port.ts';
import { DEVICE_BYTES, FILE_GRANULE_BYTES, nodeOfOffset } from '../swap/file-devices.ts';
import { lengthIn } from '../swap/file-object.ts';
import { FILE_HEADER_BYTES, FILE_MAGIC } from '../swap/file-segments.ts';
import type { Random } from './random.ts';

const BLOCK_BYTES = 64 * 1024;

export interface FaultRates {
  /** Share of calls that fail in some way. */
  readonly read: number;
  readonly write: number;
  /** Ticks an asynchronous read may take. */
  readonly ticksMax: number;
}

/** A call of `readAsync` that has not been answered. */
export interface PendingRead {
  readonly due: number;
  readonly thread: number;
  finish(): void;
}

export class FaultyDevice {
  faultsOn = true;
  readonly pending: PendingRead[] = [];
  /** Failures of any kind so far, and reads that gave wrong bytes or none. */
  injected = 0;
  spoiltReads = 0;
  private readonly random: Random;
  private readonly rates: FaultRates;
  private readonly nodes: number;
  private readonly blocks = new Map<number, Uint8Array>();
  /** Slot of the object that starts at a granule of the file, and of those that are damaged for good. */
  private readonly objects = new Map<number, number>();
  private readonly damaged = new Set<number>();
  /** node : slot of objects that a cleaner may have met damaged. */
  private readonly mayBeLost = new Set<string>();
  private readonly interrupt: () => void;
  private readonly now: () => number;

  constructor(random: Random, rates: FaultRates, nodes: number, interrupt: () => void, now: () => number) {
    this.random = random;
    this.rates = rates;
    this.nodes = nodes;
    this.interrupt = interrupt;
    this.now = now;
  }

  /** The device as one thread sees it; `onFault` is called when a read of that thread was spoilt. */
  forThread(thread: number, onFault: () => void): Device {
    return {
      read: (offset, target, start, length) => this.read(offset, target, start, length, onFault),
      write: (offset, source, start, length) => this.write(offset, source, start, length),
      cut: (offset) => this.cut(offset),
      readAsync: (offset, target, start, length) => this.readLater(thread, offset, target, start, length, onFault),
    };
  }

  /** Is the object at this offset damaged for good? */
  isDamaged(offset: number): boolean {
    return this.damaged.has(offset / FILE_GRANULE_BYTES);
  }

  /** May the cleaner have met an object of this slot damaged? */
  mayHaveLost(node: number, slot: number): boolean {
    return this.mayBeLost.has(`${node}:${slot}`);
  }

  /** The file ends at `offset` from now on. */
  private cut(offset: number): void {
    this.interrupt();
    if (this.faultsOn && this.random.chance(this.rates.write)) {
      this.injected++;
      throw systemError('EIO');
    }
    this.dropBetween(offset, (Math.floor(offset / DEVICE_BYTES) + 1) * DEVICE_BYTES);
    this.interrupt();
  }

  /** The device was removed: its file is gone. */
  forget(device: number): void {
    this.dropBetween(device * DEVICE_BYTES, (device + 1) * DEVICE_BYTES);
  }

  private dropBetween(from: number, to: number): void {
    const lies = (offset: number): boolean => offset >= from && offset < to;
    for (const number of [...this.blocks.keys()]) if (lies(number * BLOCK_BYTES)) this.blocks.delete(number);
    for (const granule of [...this.objects.keys()])
      if (lies(granule * FILE_GRANULE_BYTES)) this.objects.delete(granule);
    for (const granule of [...this.damaged]) if (lies(granule * FILE_GRANULE_BYTES)) this.damaged.delete(granule);
  }

  private read(offset: number, target: Uint8Array, start: number, length: number, onFault: () => void): number {
    if (this.random.chance(0.5)) this.interrupt();
    if (!this.faultsOn || !this.random.chance(this.rates.read)) {
      this.noteDamage(offset, length);
      this.copyOut(offset, target, start, length);
      if (this.random.chance(0.2)) this.interrupt();
      return length;
    }
    this.injected++;
    this.spoiltReads++;
    onFault();
    const kind = this.random.below(3);
    if (kind === 0) {
      this.mayLose(offset, length); // by a drain, which cannot wait until it can be read
      throw systemError('EIO');
    }
    this.noteDamage(offset, length);
    this.copyOut(offset, target, start, length);
    this.interrupt();
    if (kind === 1) {
      const got = this.random.below(length);
      this.mayLose(offset + got - 4 * FILE_GRANULE_BYTES * 5, length - got + 4 * FILE_GRANULE_BYTES * 5);
      return got;
    }
    this.mayLose(offset, length);
    const flips = this.random.between(1, 4);
    for (let i = 0; i < flips; i++) target[start + this.random.below(length)] ^= 1 << this.random.below(8);
    return length;
  }

  private write(offset: number, source: Uint8Array, start: number, length: number): number {
    const bytes = source.slice(start, start + length);
    this.interrupt();
    const fails = this.faultsOn && this.random.chance(this.rates.write);
    const kind = fails ? this.random.below(4) : -1;
    if (fails) this.injected++;
    if (kind === 0) throw systemError('EIO');
    if (kind === 1) throw systemError('ENOSPC');
    const put = kind === 2 ? this.random.below(length) : length;
    this.copyIn(offset, bytes.subarray(0, put));
    this.noteObjects(offset, bytes, put);
    if (kind === 3) this.damageOne(offset, put);
    this.interrupt();
    return put;
  }

  private readLater(
    thread: number,
    offset: number,
    target: Uint8Array,
    start: number,
    length: number,
    onFault: () => void,
  ): Promise<number> {
    const due = this.now() + this.random.between(1, this.rates.ticksMax);
    const early = this.random.chance(0.5);
    if (early) this.copyOut(offset, target, start, length);
    const fails = this.faultsOn && this.random.chance(this.rates.read);
    const kind = this.random.below(3);
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        if (!early) this.copyOut(offset, target, start, length);
        let got = length;
        if (fails) {
          this.injected++;
          this.spoiltReads++;
          onFault();
          if (kind === 0) return void reject(systemError('EIO'));
          if (kind === 1) got = this.random.below(length);
          else target[start + this.random.below(length)] ^= 1 << this.random.below(8);
        }
        resolve(got);
      };
      this.pending.push({ due, thread, finish });
    });
  }

  /** The cleaner may take this read for the truth: damaged objects in it become lost pages. */
  private noteDamage(offset: number, length: number): void {
    if (this.damaged.size > 0) this.mayLose(offset, length, this.damaged);
  }

  private mayLose(offset: number, length: number, among?: ReadonlySet<number>): void {
    const first = Math.floor(offset / FILE_GRANULE_BYTES) - 17;
    const last = Math.ceil((offset + length) / FILE_GRANULE_BYTES);
    this.spoiltReads++;
    for (let granule = first; granule < last; granule++) {
      const slot = this.objects.get(granule);
      if (slot === undefined || (among !== undefined && !among.has(granule))) continue;
      this.mayBeLost.add(`${nodeOfOffset(granule * FILE_GRANULE_BYTES, this.nodes)}:${slot}`);
    }
  }

  /** The objects of a batch follow each other from its start. */
  private noteObjects(offset: number, bytes: Uint8Array, put: number): void {
    const first = offset / FILE_GRANULE_BYTES;
    for (let granule = 0; granule < bytes.length / FILE_GRANULE_BYTES; granule++) {
      this.objects.delete(first + granule);
      this.damaged.delete(first + granule);
    }
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    let granule = 0;
    while (granule * FILE_GRANULE_BYTES < put) {
      const word = (granule * FILE_GRANULE_BYTES) >> 2;
      if (words[word + 3] !== FILE_MAGIC) break;
      this.objects.set(first + granule, words[word]);
      granule += Math.ceil((FILE_HEADER_BYTES + lengthIn(words[word + 1])) / FILE_GRANULE_BYTES);
    }
  }

  private damageOne(offset: number, length: number): void {
    const first = offset / FILE_GRANULE_BYTES;
    const starts: number[] = [];
    for (let granule = first; granule < first + length / FILE_GRANULE_BYTES; granule++)
      if (this.objects.has(granule)) starts.push(granule);
    const granule = this.random.pick(starts);
    if (granule === undefined) return;
    this.damaged.add(granule);
    const at = granule * FILE_GRANULE_BYTES + this.random.below(FILE_HEADER_BYTES + 8);
    const byte = new Uint8Array(1);
    this.copyOut(at, byte, 0, 1);
    byte[0] ^= 1 << this.random.below(8);
    this.copyIn(at, byte);
  }

  private copyOut(offset: number, target: Uint8Array, start: number, length: number): void {
    this.eachBlock(offset, length, false, (block, at, done, step) => {
      if (block === undefined) target.fill(0, start + done, start + done + step);
      else target.set(block.subarray(at, at + step), start + done);
    });
  }

  private copyIn(offset: number, source: Uint8Array): void {
    this.eachBlock(offset, source.length, true, (block, at, done, step) =>
      block?.set(source.subarray(done, done + step), at),
    );
  }

  private eachBlock(
    offset: number,
    length: number,
    create: boolean,
    visit: (block: Uint8Array | undefined, at: number, done: number, step: number) => void,
  ): void {
    for (let done = 0; done < length; ) {
      const number = Math.floor((offset + done) / BLOCK_BYTES);
      const at = offset + done - number * BLOCK_BYTES;
      const step = Math.min(BLOCK_BYTES - at, length - done);
      let block = this.blocks.get(number);
      if (block === undefined && create) this.blocks.set(number, (block = new Uint8Array(BLOCK_BYTES)));
      visit(block, at, done, step);
      done += step;
    }
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`simulated ${code}`), { code });
}
