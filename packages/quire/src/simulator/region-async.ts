/** The async twins, started in one step and answered, by the device, in a later one. */
import { QuireError } from '../base/errors.ts';
import type { LogicalThread } from './logical-thread.ts';
import type { OpenedRegion, World } from './world.ts';

const PENDING_MAX = 4;

interface Place {
  readonly offset: number;
  readonly length: number;
}

export class AsyncWork {
  private readonly world: World;
  private readonly thread: LogicalThread;
  private pending = 0;

  constructor(world: World, thread: LogicalThread) {
    this.world = world;
    this.thread = thread;
  }

  start(opened: OpenedRegion, place: Place): number {
    if (this.pending >= PENDING_MAX) return 10;
    const dice = this.world.random.below(10);
    if (dice < 5) return this.read(opened, place);
    if (dice < 7) return this.prefetch(opened, place);
    const bytes = dice === 7 ? new Uint8Array(place.length) : this.world.content.make(place.length);
    if (opened.model.isContested(place.offset, place.length)) return 11;
    if (dice === 7)
      return this.write(opened, place, bytes, () => opened.region.discardAsync(place.offset, place.length));
    return this.write(opened, place, bytes, () => opened.region.writeAsync(place.offset, bytes));
  }

  private read(opened: OpenedRegion, { offset, length }: Place): number {
    const target = new Uint8Array(length);
    const window = opened.model.beginRead(offset, length);
    const faults = this.thread.faults;
    this.follow(
      opened.region.readAsync(offset, target),
      () => opened.model.endRead(window, target),
      (error) => {
        opened.model.dropRead(window);
        return this.isExpected(error, opened, faults, offset, length);
      },
    );
    return 12;
  }

  private prefetch(opened: OpenedRegion, { offset, length }: Place): number {
    const faults = this.thread.faults;
    this.follow(
      opened.region.prefetch(offset, length),
      () => undefined,
      (error) => this.isExpected(error, opened, faults, offset, length),
    );
    return 13;
  }

  private write(opened: OpenedRegion, { offset, length }: Place, bytes: Uint8Array, run: () => Promise<void>): number {
    const window = opened.model.beginWrite(offset, bytes);
    const faults = this.thread.faults;
    this.follow(
      run(),
      () => opened.model.endWrite(window),
      (error) => {
        opened.model.failWrite(window);
        return this.world.isFull(error) || this.isExpected(error, opened, faults, offset, length);
      },
    );
    return 14;
  }

  /** Runs in microtasks, in the step that delivers the answer of the device. */
  private follow(promise: Promise<void>, done: () => void, isExpected: (error: unknown) => boolean): void {
    this.pending++;
    this.world.asyncThreads.add(this.thread);
    promise
      .then(done, (error: unknown) => {
        if (!isExpected(error)) throw error;
      })
      .catch((error: unknown) => {
        this.world.failure ??= error;
      })
      .finally(() => {
        this.pending--;
      });
  }

  private isExpected(error: unknown, opened: OpenedRegion, faults: number, offset: number, length: number): boolean {
    if (error instanceof QuireError && error.code === 'ERR_QUIRE_CLOSED') return true;
    return this.world.isExcused(error, opened, this.thread, faults, offset, length);
  }
}
