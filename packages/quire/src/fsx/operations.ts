/**
 * Operations of an episode. Operation i is drawn from the seed and i alone, so that others can be left out (shrinking)
 * without changing it: it has a random source of its own, which also decides about its faults and about what runs in
 * the middle of it.
 */
import * as L from '../arena/layout.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../base/units.ts';
import { isAnyLocked } from '../simulator/logical-thread.ts';
import { Random } from '../simulator/random.ts';
import { Daemons } from './daemons.ts';
import { FileWork, type Span } from './file-work.ts';
import type { FilePlan, FileThread, Handle, World } from './world.ts';

const KINDS = [
  ['read', 22],
  ['readv', 4],
  ['write', 22],
  ['writev', 4],
  ['append', 6],
  ['shrink', 3],
  ['grow', 2],
  ['sync', 4],
  ['pin', 4],
  ['unpin', 2],
  ['fill', 2],
  ['reopen', 2],
  ['second', 1],
  ['ballast', 8],
  ['reclaim', 4],
  ['compact', 3],
  ['flush', 5],
  ['clock', 2],
  ['break', 1],
] as const;

export type Kind = (typeof KINDS)[number][0];
type MemoryKind = 'ballast' | 'reclaim' | 'compact' | 'flush';

/** What may run while another operation is stopped inside the core. */
const NESTED: readonly Kind[] = ['read', 'read', 'write', 'write', 'append', 'ballast', 'reclaim', 'compact', 'flush'];
const WEIGHT = KINDS.reduce((sum, [, weight]) => sum + weight, 0);
const HANDLES_MAX = 4;
/** What one operation takes, more or less. */
const ROOM_FRAMES = 150;

function isOfMemory(kind: Kind): kind is MemoryKind {
  return kind === 'ballast' || kind === 'reclaim' || kind === 'compact' || kind === 'flush';
}

export function randomOf(seed: number, index: number): Random {
  return new Random(seed * 2 ** 20 + index);
}

export class Operations {
  private readonly world: World;
  private readonly files: FileWork;
  private readonly daemons: Daemons;
  /** Kind and place of the last one begun, for messages. */
  last = '';
  private lastPlan: FilePlan | undefined;
  private lastPosition = 0;
  private refusedBefore = 0;

  constructor(world: World) {
    this.world = world;
    this.files = new FileWork(world);
    this.daemons = new Daemons(world);
  }

  /** One operation that nothing else surrounds. */
  run(random: Random): void {
    if (this.world.refused > this.refusedBefore) this.relieve(random);
    let dice = random.below(WEIGHT);
    const kind = (KINDS.find(([, weight]) => (dice -= weight) < 0) ?? KINDS[0])[0];
    const thread = random.pick(this.world.threads);
    this.onThread(thread, () => this.act(kind, thread, random));
  }

  /** Memory was full: mostly room is made then, for full memory refuses slowly and has little to show. */
  private relieve(random: Random): void {
    const { world } = this;
    this.refusedBefore = world.refused;
    if (random.chance(0.2)) return;
    for (const plan of world.files) {
      plan.disk.broken = undefined;
      for (const handle of plan.handles) while (handle.pins.length > 0) this.files.unpin(handle);
    }
    const thread = random.pick(world.threads);
    this.onThread(thread, () => world.ballast.discardSome(thread, random));
  }

  /** One operation of another thread, in the middle of the one under way. Does nothing when it would have to wait. */
  runNested(random: Random): void {
    // A size that is half written stays so until this operation ends.
    if (this.world.isSizeHalfWritten()) return;
    const free = this.world.threads.filter(({ logical }) => !logical.isBusy);
    if (free.length === 0) return;
    const thread = random.pick(free);
    this.world.nested++;
    this.onThread(thread, () => this.actNested(random.pick(NESTED), thread, random));
  }

  private actNested(kind: Kind, thread: FileThread, random: Random): void {
    // Direct reclaim that waits for a batch which cannot go on before this operation ends spends a second in vain.
    const mayOnlyLook = isAnyLocked(this.world.nodes) || (this.isWaitLikely() && !random.chance(0.01));
    if (kind !== 'read' && mayOnlyLook) return;
    if (isOfMemory(kind)) {
      this.actOnMemory(kind, thread, random);
      return;
    }
    const handle = random.pick(thread.handles);
    if (handle === undefined) return;
    const isLocked = mayOnlyLook || Atomics.load(handle.file.inode, L.I_LOCK) !== 0;
    const span = random.chance(0.5) ? this.spanNear(handle.plan, random) : this.spanIn(handle.plan, random);
    const isFree = kind === 'read' ? !isLocked || this.isCached(handle, span) : !isLocked;
    if (isFree && (kind === 'read' || handle.plan.model.pending === undefined))
      this.actOnFile(kind, handle, span, random);
  }

  private isWaitLikely(): boolean {
    return this.world.nodes.some(
      ({ words }) => words[L.H_PC_WRITEBACK] > 0 && words[L.H_FREE_FRAMES] < words[L.H_WMARK_LOW] + ROOM_FRAMES,
    );
  }

  private onThread(thread: FileThread, act: () => void): void {
    thread.logical.isBusy = true;
    this.world.depth++;
    try {
      act();
    } finally {
      this.world.depth--;
      thread.logical.isBusy = false;
    }
  }

  private act(kind: Kind, thread: FileThread, random: Random): void {
    const plan = random.pick(this.world.files);
    if (isOfMemory(kind)) this.actOnMemory(kind, thread, random);
    else if (kind === 'clock') this.world.disk.nowMs += random.pick([1, 100, 1000, 6000, 40_000]);
    else if (kind === 'break') this.breakOrMend(plan, random);
    else this.actOnPlan(kind, plan, thread, random);
  }

  private actOnPlan(kind: Kind, plan: FilePlan, thread: FileThread, random: Random): void {
    const open = thread.handles.filter((each) => each.plan === plan);
    const handle = open.length > 0 ? random.pick(open) : this.files.open(plan, thread);
    if (handle === undefined) return;
    if (kind !== 'second') this.actOnFile(kind, handle, this.spanIn(plan, random), random);
    else if (plan.handles.length < HANDLES_MAX) this.files.open(plan, thread);
  }

  private actOnFile(kind: Kind, handle: Handle, span: Span, random: Random): void {
    this.last = `${kind} of ${span.length} at ${span.position} of file ${handle.plan.number} (size ${handle.plan.model.size})`;
    this.lastPlan = handle.plan;
    this.lastPosition = span.position;
    const { files } = this;
    if (kind === 'read') files.read(handle, span);
    else if (kind === 'readv') files.readv(handle, span, random);
    else if (kind === 'write') files.write(handle, span, random);
    else if (kind === 'writev') files.writev(handle, span, random);
    else if (kind === 'append') files.append(handle, span.length, random);
    else if (kind === 'shrink') files.truncate(handle, Math.min(span.position, handle.plan.model.size));
    else if (kind === 'grow') files.truncate(handle, Math.max(span.position, handle.plan.model.size));
    else if (kind === 'sync') files.sync(handle);
    else if (kind === 'pin') files.pin(handle, inOneFolio(span), random);
    else if (kind === 'unpin') files.unpin(handle);
    else if (kind === 'fill') files.prefetch(handle, span, random);
    else files.close(handle);
  }

  private actOnMemory(kind: MemoryKind, thread: FileThread, random: Random): void {
    this.last = kind;
    if (kind === 'reclaim') this.daemons.reclaim(thread, random);
    else if (kind === 'compact') this.daemons.compact(thread, random);
    else if (kind === 'flush') this.daemons.flush(thread, random);
    else this.press(thread, random);
  }

  private press(thread: FileThread, random: Random): void {
    const { world } = this;
    if (world.shape.ballastPages === 0 || world.isBallastBusy) return;
    world.isBallastBusy = true;
    try {
      world.ballast.step(thread, random);
    } catch (error) {
      this.files.excuse(error, false);
    } finally {
      world.isBallastBusy = false;
    }
  }

  /** From now on every write of the file fails, or no longer. */
  private breakOrMend(plan: FilePlan, random: Random): void {
    if (plan.disk.broken !== undefined) plan.disk.broken = undefined;
    else if (this.world.shape.faults.write > 0) plan.disk.broken = random.pick(['EIO', 'ENOSPC']);
  }

  private isCached(handle: Handle, span: Span): boolean {
    return handle.file.missAt(span.position, span.length) < 0;
  }

  /** Near where others were, at an edge, or anywhere. */
  private spanIn(plan: FilePlan, random: Random): Span {
    const { shape } = this.world;
    const end = shape.baseBytes + shape.fileBytesMax;
    const length = Math.max(1, Math.floor(shape.lengthMax ** (random.next() / 2 ** 32)));
    const dice = random.below(100);
    let position = shape.baseBytes + random.below(shape.fileBytesMax);
    if (dice < 40) position = plan.focus + random.between(-2 * PAGE_BYTES, 8 * PAGE_BYTES);
    else if (dice < 55) position = plan.model.size + random.between(-2 * PAGE_BYTES, PAGE_BYTES);
    else if (dice < 65) position = Math.round(position / CHUNK_BYTES) * CHUNK_BYTES + random.between(-6000, 6000);
    else if (dice < 80) position = Math.round(position / PAGE_BYTES) * PAGE_BYTES + random.between(-1, 1);
    else if (dice < 82) position = random.below(Math.min(end, 2 * CHUNK_BYTES));
    position = Math.max(0, Math.min(position, end - 1));
    if (random.chance(0.2)) plan.focus = Math.max(shape.baseBytes, position);
    return { position, length: Math.min(length, end - position) };
  }

  /** Some bytes around where the operation that this one interrupts is at work. */
  private spanNear(plan: FilePlan, random: Random): Span {
    const end = this.world.shape.baseBytes + this.world.shape.fileBytesMax;
    const position = this.lastPosition + random.between(-4 * PAGE_BYTES, 4 * PAGE_BYTES);
    if (plan !== this.lastPlan || position < 0 || position >= end) return this.spanIn(plan, random);
    return { position, length: Math.min(random.between(1, PAGE_BYTES), end - position) };
  }

  /** Everything closed. */
  finish(): void {
    const { world } = this;
    this.daemons.stop();
    world.disk.faultsOn = false;
    for (const plan of world.files) plan.disk.broken = undefined;
    for (const thread of world.threads) while (thread.handles.length > 0) this.files.close(thread.handles[0]);
  }
}

/** A pin lies within one aligned block of 16 KiB, which is where a folio is sure to be found or made. */
function inOneFolio(span: Span): Span {
  const block = 4 * PAGE_BYTES;
  const end = (Math.floor(span.position / block) + 1) * block;
  return { position: span.position, length: Math.min(span.length, end - span.position) };
}
