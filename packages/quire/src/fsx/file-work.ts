/** What an operation does to a file and to its model, and which outcomes are allowed. */
import { QuireError } from '../base/errors.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { Blocked } from '../simulator/preemption.ts';
import type { Random } from '../simulator/random.ts';
import type { DiskFile } from './faulty-files.ts';
import type { Change } from './file-model.ts';
import { openFile } from './open-file.ts';
import type { FilePlan, FileThread, Handle, World } from './world.ts';

const PINS_MAX = 3;
/** Vectors of one readv or writev. */
const VECTORS_MAX = 5;

export interface Span {
  readonly position: number;
  readonly length: number;
}

export class FileWork {
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  read(handle: Handle, span: Span): void {
    const { model, disk } = handle.plan;
    const errors = disk.readErrors;
    const window = model.openRead(span.position, span.length);
    try {
      const target = new Uint8Array(span.length + 2).fill(0xa5);
      const count = handle.file.read(span.position, target, 1, span.length);
      model.closeRead(window, target.subarray(1, 1 + count), disk.readErrors !== errors);
      if (target[0] !== 0xa5 || target[span.length + 1] !== 0xa5) throw new Error('read wrote outside of its target');
    } catch (error) {
      model.dropRead(window);
      this.excuse(error, disk.readErrors !== errors);
    }
  }

  /** As QuireFile.readv does it: one read a buffer, ended by a short one. */
  readv(handle: Handle, span: Span, random: Random): void {
    let { position, length } = span;
    for (let i = random.between(1, VECTORS_MAX); i > 0 && length > 0; i--) {
      const step = i === 1 ? length : random.below(length + 1);
      this.read(handle, { position, length: step });
      position += step;
      length -= step;
    }
  }

  write(handle: Handle, span: Span, random: Random): void {
    const bytes = makeBytes(random, span.length);
    this.change(handle, { kind: 'write', position: span.position, bytes }, () =>
      handle.file.write(span.position, bytes, 0, bytes.length),
    );
  }

  writev(handle: Handle, span: Span, random: Random): void {
    let { position, length } = span;
    for (let i = random.between(1, VECTORS_MAX); i > 0 && length > 0; i--) {
      const step = i === 1 ? length : random.below(length + 1);
      this.write(handle, { position, length: step }, random);
      position += step;
      length -= step;
    }
  }

  append(handle: Handle, length: number, random: Random): void {
    const bytes = makeBytes(random, length);
    const position = handle.plan.model.size;
    this.change(handle, { kind: 'write', position, bytes }, () => {
      const result = handle.file.append(bytes, 0, bytes.length);
      if (result.position !== position && result.written > 0)
        throw new Error(`append chose ${result.position}, the file ended at ${position}`);
      return result.written;
    });
  }

  truncate(handle: Handle, size: number): void {
    this.change(handle, { kind: 'truncate', size }, () => {
      handle.file.truncate(size);
      return 1;
    });
  }

  private change(handle: Handle, change: Change, make: () => number): void {
    const { model, disk } = handle.plan;
    const errors = errorsOf(disk);
    model.announce(change);
    let done = 0;
    try {
      done = make();
    } catch (error) {
      model.retract();
      this.excuse(error, errorsOf(disk) !== errors);
      return;
    }
    model.settle(done);
    if (change.kind === 'truncate' || done === change.bytes.length) return;
    const isExcused = errorsOf(disk) !== errors || this.mayRunOut();
    if (!isExcused || done < 0 || done > change.bytes.length)
      throw new Error(`write of ${change.bytes.length} wrote ${done} for no reason`);
  }

  /**
   * After a sync that says nothing, the disk holds what the file holds; after an error, each handle hears of it once.
   * False when it heard of one.
   */
  sync(handle: Handle): boolean {
    const { plan } = handle;
    const { version } = plan.model;
    const nested = this.world.nested;
    let hasThrown = false;
    try {
      handle.file.sync();
    } catch (error) {
      if (!isCode(error, 'ERR_QUIRE_IO')) throw error;
      hasThrown = true;
      this.world.faulted++;
    }
    const isQuiet = this.world.nested === nested;
    const isDue = handle.seenErrors !== plan.model.errors || !plan.model.isErrorSeen;
    if (isQuiet && isDue !== hasThrown)
      throw new Error(
        hasThrown ? 'sync reported an error that this handle knew' : 'sync kept an error of writeback to itself',
      );
    if (hasThrown) plan.model.isErrorSeen = true;
    if (hasThrown || isQuiet) handle.seenErrors = plan.model.errors;
    if (!hasThrown && isQuiet && version === plan.model.version) this.compareDisk(plan);
    return !hasThrown;
  }

  compareDisk(plan: FilePlan): void {
    if (plan.handles.some((handle) => handle.pins.length > 0)) return;
    const { model, disk } = plan;
    if (disk.size !== model.size)
      throw new Error(`file ${plan.number} has ${disk.size} bytes on disk, the cache says ${model.size}`);
    const at = model.bytes.differsFrom(disk.bytes, model.size);
    if (at < 0) return;
    const show = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    throw new Error(
      `file ${plan.number}: byte ${at} of ${model.size} (page ${Math.floor(at / PAGE_BYTES)}) is ` +
        `${show(disk.bytes.slice(at, 8))}… on disk after a sync, expected ${show(model.bytes.slice(at, 8))}…`,
    );
  }

  /** Holds bytes in place, looks at them, changes them, and lets go now or some operations later. */
  pin(handle: Handle, span: Span, random: Random): void {
    const { plan } = handle;
    if (handle.pins.length >= PINS_MAX || span.position + span.length > plan.model.size) {
      this.unpin(handle);
      return;
    }
    const errors = plan.disk.readErrors;
    const window = plan.model.openRead(span.position, span.length);
    try {
      const pin = handle.file.pin(span.position, span.length);
      handle.pins.push(pin);
      plan.model.closeRead(window, pin.bytes.slice());
      if (plan.model.pending !== undefined || random.chance(0.4)) return;
      const bytes = makeBytes(random, span.length);
      plan.model.announce({ kind: 'write', position: span.position, bytes });
      pin.bytes.set(bytes);
      plan.model.settle(bytes.length);
      if (random.chance(0.6)) this.unpin(handle);
    } catch (error) {
      plan.model.dropRead(window);
      this.excuse(error, plan.disk.readErrors !== errors);
    }
  }

  unpin(handle: Handle): void {
    handle.pins.shift()?.release();
  }

  /** Reads pages behind the reader's back. Its errors are for those who want the bytes. */
  prefetch(handle: Handle, span: Span, random: Random): void {
    const { plan, file } = handle;
    const page = Math.floor(span.position / PAGE_BYTES);
    const pages = random.between(1, 16);
    handle.inFlight++;
    this.world.inFlight++;
    const land = (error?: unknown): void => {
      handle.inFlight--;
      this.world.inFlight--;
      try {
        if (error !== undefined) this.excuse(error, plan.disk.readErrors > 0);
      } catch (failure) {
        this.world.failure ??= failure;
      }
    };
    file.fillAsync(page * PAGE_BYTES, pages, random.below(4)).then(() => land(), land);
  }

  open(plan: FilePlan, thread: FileThread): Handle | undefined {
    try {
      const file = openFile(thread, plan);
      const handle: Handle = { plan, thread, file, pins: [], inFlight: 0, seenErrors: plan.model.sampleErrors() };
      plan.handles.push(handle);
      thread.handles.push(handle);
      return handle;
    } catch (error) {
      this.excuse(error, false);
      return undefined;
    }
  }

  /** As QuireFile.close: the last one writes everything back first, and stays open when that fails. */
  close(handle: Handle): void {
    const { plan, thread } = handle;
    if (handle.inFlight > 0) return;
    while (handle.pins.length > 0) this.unpin(handle);
    if (plan.handles.length === 1 && !this.sync(handle)) return;
    plan.handles.splice(plan.handles.indexOf(handle), 1);
    thread.handles.splice(thread.handles.indexOf(handle), 1);
    const nested = this.world.nested;
    handle.file.close();
    if (plan.handles.length === 0 && this.world.nested === nested) this.compareDisk(plan);
  }

  /** An error is let pass when something was made to fail; Blocked and everything else goes on. */
  excuse(error: unknown, hasFault: boolean): void {
    if (error instanceof Blocked) throw error;
    if (isCode(error, 'ERR_QUIRE_IO') && hasFault) {
      this.world.faulted++;
      return;
    }
    const isFull = isCode(error, 'ERR_QUIRE_OUT_OF_MEMORY') || isCode(error, 'ERR_QUIRE_SWAP_FULL');
    if (!isFull || !this.mayRunOut()) throw error;
    this.world.refused++;
  }

  /** Can memory be full for good: a region, pins, pages that cannot be written, or others stopped half way? */
  private mayRunOut(): boolean {
    const { world } = this;
    if (world.depth > 1 || world.shape.ballastPages > 0 || world.shape.faults.write > 0) return true;
    return world.files.some(
      (plan) => plan.disk.broken !== undefined || plan.handles.some((handle) => handle.pins.length > 0),
    );
  }
}

function errorsOf(disk: DiskFile): number {
  return disk.readErrors + disk.writeErrors + disk.truncateErrors;
}

export function isCode(error: unknown, code: QuireError['code']): boolean {
  return error instanceof QuireError && error.code === code;
}

/** Bytes that are hardly ever twice the same: a run of words that count up from a random one. */
export function makeBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const words = new Uint32Array(bytes.buffer, 0, length >> 2);
  const step = random.next() | 1;
  let word = random.next();
  for (let at = 0; at < words.length; at++) words[at] = word = (word + step) | 0;
  for (let at = words.length * 4; at < length; at++) bytes[at] = random.next() | 1;
  return bytes;
}
