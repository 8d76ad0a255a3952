/**
 * A thread that works on regions: everything the API offers, and reads and pins that stay open from one step to a
 * later one.
 */
import { Region, type RegionOwner } from '../api/region.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { setAccess } from '../vm/access.ts';
import { cloneRegion } from '../vm/clone.ts';
import { createPageView, type PageView } from '../vm/page-space.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { chunksFor, closeRegion, openRegion } from '../vm/region-table.ts';
import type { LogicalThread } from './logical-thread.ts';
import { type ReadWindow, RegionModel } from './page-model.ts';
import { Blocked } from './preemption.ts';
import { AsyncWork } from './region-async.ts';
import type { Actor, OpenedRegion, RegionPlan, StepMode, World } from './world.ts';

interface HeldView {
  readonly opened: OpenedRegion;
  readonly view: PageView;
  readonly window: ReadWindow;
  /** Copied at once when the view is a scratch page, which later reads may reuse. */
  readonly copy: Uint8Array | undefined;
}

interface HeldPin {
  readonly opened: OpenedRegion;
  readonly offset: number;
  readonly bytes: Uint8Array;
  release(): void;
}

const HELD_MAX = 3;
const READ_PAGES_MAX = 3;

const OK = 1;
const FULL = 2;
const FAULTED = 3;
const SKIPPED = 4;

export class RegionWorker implements Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight = 12;
  readonly isLockFree = true;
  private readonly world: World;
  private readonly opened = new Map<RegionPlan, OpenedRegion>();
  private readonly views: HeldView[] = [];
  private readonly pins: HeldPin[] = [];
  private readonly async: AsyncWork;
  private wantsRoom = false;

  constructor(world: World, thread: LogicalThread) {
    this.world = world;
    this.thread = thread;
    this.name = `regions of ${thread.name}`;
    this.async = new AsyncWork(world, thread);
  }

  step(mode: StepMode): number {
    const { random } = this.world;
    if (mode.isLockHeld) return this.stepLockFree();
    if (this.views.length > 0 && random.chance(0.25)) return this.closeView();
    if (this.pins.length > 0 && random.chance(0.25)) return this.usePin();
    const opened = this.anyRegion();
    if (opened === undefined) return SKIPPED;
    if (random.chance(this.world.shape.discardShare)) return this.discard(opened, true);
    if (this.wantsRoom) {
      this.wantsRoom = false;
      return this.discard(opened, true);
    }
    return this.act(opened, random.below(100));
  }

  private act(opened: OpenedRegion, dice: number): number {
    if (dice < 34) return this.read(opened);
    if (dice < 62) return this.write(opened);
    if (dice < 68) return this.fill(opened);
    if (dice < 74) return this.discard(opened, false);
    if (dice < 80) return this.openView(opened);
    if (dice < 84) return this.pin(opened);
    if (dice < 88) return this.openWrite(opened);
    if (dice < (opened.plan.source === undefined ? 99 : 95)) {
      return this.async.start(opened, this.place(opened, READ_PAGES_MAX));
    }
    return this.closeRegion(opened.plan);
  }

  /**
   * A thread below holds a node lock: one page, read or written without it. Needing it after all is Blocked, and then
   * nothing was done.
   */
  private stepLockFree(): number {
    const { random } = this.world;
    if (this.views.length > 0 && random.chance(0.4)) return this.closeView();
    const all = [...this.opened.values()];
    if (all.length === 0) return SKIPPED;
    const near = all.find((candidate) => candidate.plan === this.world.focus?.plan);
    const opened = near !== undefined && random.chance(0.5) ? near : random.pick(all);
    if (random.chance(0.5)) return this.read(opened, 1);
    return random.chance(0.5) ? this.openView(opened) : this.write(opened, 1);
  }

  /** An open region; sometimes, or when there is none, one more is opened. */
  private anyRegion(): OpenedRegion | undefined {
    const { random, plans, focus } = this.world;
    const plan = focus !== undefined && random.chance(0.5) ? focus.plan : random.pick(plans);
    const opened = this.opened.get(plan);
    return opened ?? this.openRegion(plan);
  }

  private openRegion(plan: RegionPlan): OpenedRegion | undefined {
    if (plan.isClosing) return undefined;
    if (plan.source !== undefined && plan.model.refs === 0) return this.makeClone(plan, plan.source);
    const { memory } = this.thread;
    const { model } = plan;
    model.refs++;
    plan.opening++;
    const info = openRegion(memory, `region:${plan.name}`, chunksFor(plan.size), plan.group);
    plan.opening--;
    if (info.created) setAccess(memory.nodes[0], info.region, plan.access);
    return this.remember(plan, model, info.region);
  }

  private remember(plan: RegionPlan, model: RegionModel, region: number): OpenedRegion {
    const { memory } = this.thread;
    const space = new RegionSpace(memory, region, plan.size);
    const owner: RegionOwner = {
      memory,
      forget: () => void closeRegion(memory, region),
      clone: () => {
        throw new Error('clones are made by this worker');
      },
    };
    const opened = { plan, model, space, region: new Region(owner, space, plan.name, plan.size, plan.group) };
    this.opened.set(plan, opened);
    return opened;
  }

  /** A clone that nobody has open is made anew, of what its source is now. */
  private makeClone(plan: RegionPlan, source: RegionPlan): OpenedRegion | undefined {
    const { world, thread } = this;
    const opened = this.opened.get(source) ?? this.openRegion(source);
    // Opening the source may have let others in.
    if (opened === undefined || plan.isClosing || plan.model.refs > 0) return undefined;
    plan.isClosing = true; // nobody opens it meanwhile
    const window = opened.model.beginClone();
    try {
      const region = cloneRegion(thread.memory, opened.space.region, `region:${plan.name}`, 'default');
      if (region < 0) throw new Error(`${plan.name} is open already`);
      plan.model = opened.model.endClone(window, plan.name);
      plan.model.refs = 1;
      return this.remember(plan, plan.model, region);
    } catch (error) {
      opened.model.dropClone(window);
      if (!world.isFull(error)) throw error;
      this.wantsRoom = true;
      return undefined;
    } finally {
      plan.isClosing = false;
    }
  }

  private closeRegion(plan: RegionPlan): number {
    const opened = this.opened.get(plan);
    // A stale writer of another region may pin a frame for a moment; while one is stopped there, the last use of a
    // region must not end.
    if (
      opened === undefined ||
      plan.isClosing ||
      plan.opening > 0 ||
      (opened.model.refs === 1 && this.world.threads.filter((thread) => thread.isBusy).length > 1)
    )
      return SKIPPED;
    for (const held of this.views.filter((view) => view.opened === opened)) {
      held.opened.model.dropRead(held.window);
      this.views.splice(this.views.indexOf(held), 1);
    }
    for (const held of this.pins.filter((pin) => pin.opened === opened)) {
      held.release();
      this.pins.splice(this.pins.indexOf(held), 1);
    }
    this.opened.delete(plan);
    if (--opened.model.refs === 0) {
      plan.isClosing = true;
      plan.model = new RegionModel(plan.name, plan.size);
    }
    opened.region.close();
    plan.isClosing = false;
    return OK;
  }

  /**
   * Some bytes of up to `pagesMax` pages of one group; 4 of 5 times in a tenth of the region, which moves with time.
   */
  private place(opened: OpenedRegion, pagesMax: number): { offset: number; length: number } {
    const { random } = this.world;
    const { plan } = opened;
    const index = this.pageIndex(plan);
    this.world.focus = { plan, index };
    const left = Math.min(pagesMax, plan.groupPages - (index % plan.groupPages), plan.pages - index);
    const pages = random.between(1, left);
    const start = this.world.pageOffset(plan, index);
    if (random.chance(0.5)) return { offset: start, length: pages * PAGE_BYTES };
    const from = random.below(PAGE_BYTES);
    return { offset: start + from, length: random.between(1, pages * PAGE_BYTES - from) };
  }

  private pageIndex(plan: RegionPlan): number {
    const { random, tick, focus } = this.world;
    if (focus?.plan === plan && random.chance(0.3)) return focus.index;
    const hot = Math.max(1, Math.floor(plan.pages / 10));
    return random.chance(0.8)
      ? (Math.floor(tick / 4000) * hot + random.below(hot)) % plan.pages
      : random.below(plan.pages);
  }

  private read(opened: OpenedRegion, pagesMax = READ_PAGES_MAX): number {
    const { offset, length } = this.place(opened, pagesMax);
    const target = new Uint8Array(length);
    const window = opened.model.beginRead(offset, length);
    const faults = this.thread.faults;
    try {
      opened.region.read(offset, target);
    } catch (error) {
      opened.model.dropRead(window);
      if (error instanceof Blocked || !this.world.isExcused(error, opened, this.thread, faults, offset, length))
        throw error;
      return FAULTED;
    }
    opened.model.endRead(window, target);
    this.world.trace.addBytes(target);
    return OK;
  }

  private write(opened: OpenedRegion, pagesMax = 6): number {
    const { offset, length } = this.place(opened, pagesMax);
    const bytes = this.world.content.make(length);
    return this.store(opened, offset, bytes, () => opened.region.write(offset, bytes));
  }

  private fill(opened: OpenedRegion): number {
    const { offset, length } = this.place(opened, 6);
    const byte = this.world.random.below(256);
    return this.store(opened, offset, new Uint8Array(length).fill(byte), () =>
      opened.region.fill(offset, length, byte),
    );
  }

  /** A range, or, when room is wanted, a large part of the region. */
  private discard(opened: OpenedRegion, isLarge: boolean): number {
    const { random } = this.world;
    let { offset, length } = this.place(opened, 8);
    if (isLarge) {
      const whole = random.chance(0.5);
      const group = opened.plan.groupPages * PAGE_BYTES;
      offset = Math.floor(offset / PAGE_BYTES) * PAGE_BYTES;
      if (whole) offset -= offset % (opened.plan.groupChunks * 2 ** 21);
      length = whole
        ? Math.min(2 ** 21, opened.plan.size - offset)
        : Math.min(random.between(1, group), opened.plan.size - offset);
    }
    return this.store(opened, offset, new Uint8Array(length), () => opened.region.discard(offset, length));
  }

  private store(opened: OpenedRegion, offset: number, bytes: Uint8Array, run: () => void): number {
    const { model } = opened;
    if (model.isContested(offset, bytes.length) && this.world.random.chance(0.8)) return SKIPPED;
    const window = model.beginWrite(offset, bytes);
    const faults = this.thread.faults;
    try {
      run();
    } catch (error) {
      if (error instanceof Blocked) {
        model.dropWrite(window);
        throw error;
      }
      model.failWrite(window);
      if (this.world.isFull(error)) {
        this.wantsRoom = true;
        return FULL;
      }
      if (!this.world.isExcused(error, opened, this.thread, faults, offset, bytes.length)) throw error;
      return FAULTED;
    }
    model.endWrite(window);
    return OK;
  }

  private openView(opened: OpenedRegion): number {
    if (this.views.length >= HELD_MAX) return this.closeView();
    const { offset, length } = this.place(opened, 1);
    const inPage = offset % PAGE_BYTES;
    const window = opened.model.beginRead(offset, length);
    const faults = this.thread.faults;
    const view = createPageView();
    try {
      opened.space.openRead(offset, inPage + length, view);
    } catch (error) {
      opened.model.dropRead(window);
      if (error instanceof Blocked || !this.world.isExcused(error, opened, this.thread, faults, offset, length))
        throw error;
      return FAULTED;
    }
    const copy = view.pfn < 0 ? bytesOf(view, inPage, length) : undefined;
    this.views.push({ opened, view, window, copy });
    return OK;
  }

  private closeView(): number {
    const at = this.world.random.below(this.views.length);
    const held = this.views[at];
    const { offset, length } = held.window;
    const bytes = held.copy ?? bytesOf(held.view, offset % PAGE_BYTES, length);
    const isTrue = held.opened.space.closeRead(held.view);
    this.views.splice(at, 1);
    if (!isTrue) {
      held.opened.model.dropRead(held.window);
      return SKIPPED;
    }
    held.opened.model.endRead(held.window, bytes);
    return OK;
  }

  private pin(opened: OpenedRegion): number {
    if (this.pins.length >= HELD_MAX) return this.usePin();
    const { offset, length } = this.place(opened, 4);
    const faults = this.thread.faults;
    try {
      const pin = opened.region.pin(offset, length);
      this.pins.push({ opened, offset, bytes: pin.bytes, release: () => pin.release() });
    } catch (error) {
      if (this.world.isFull(error)) return FULL;
      if (error instanceof Blocked || !this.world.isExcused(error, opened, this.thread, faults, offset, length))
        throw error;
      return FAULTED;
    }
    return OK;
  }

  private openWrite(opened: OpenedRegion): number {
    if (this.pins.length >= HELD_MAX) return this.usePin();
    const { offset, length } = this.place(opened, 1);
    const faults = this.thread.faults;
    const view = createPageView();
    try {
      opened.space.openWrite(offset, view);
    } catch (error) {
      if (this.world.isFull(error)) return FULL;
      if (error instanceof Blocked || !this.world.isExcused(error, opened, this.thread, faults, offset, length))
        throw error;
      return FAULTED;
    }
    const start = view.byte + (offset % PAGE_BYTES);
    this.pins.push({
      opened,
      offset,
      bytes: view.bytes.subarray(start, start + length),
      release: () => opened.space.closeWrite(view),
    });
    return OK;
  }

  /** Reads or writes through a held pin, or lets it go. */
  private usePin(): number {
    const { random } = this.world;
    const at = random.below(this.pins.length);
    const { opened, offset, bytes, release } = this.pins[at];
    if (random.chance(0.4)) {
      this.pins.splice(at, 1);
      release();
      return OK;
    }
    const from = random.below(bytes.length);
    const part = bytes.subarray(from, from + random.between(1, bytes.length - from));
    if (random.chance(0.5)) {
      opened.model.endRead(opened.model.beginRead(offset + from, part.length), part.slice());
      return OK;
    }
    const content = this.world.content.make(part.length);
    const window = opened.model.beginWrite(offset + from, content);
    part.set(content);
    opened.model.endWrite(window);
    return OK;
  }

  close(): void {
    for (const plan of [...this.opened.keys()]) this.closeRegion(plan);
  }
}

function bytesOf(view: PageView, inPage: number, length: number): Uint8Array {
  return view.bytes.slice(view.byte + inPage, view.byte + inPage + length);
}
