/** How a handle's writers are held up when too much is dirty: in place, or, for asynchronous calls, between two awaits. */
import { balanceDirty, balanceDirtyAsync } from '../page-cache/dirty-throttle.ts';
import type { Memory } from '../vm/memory.ts';

export class WritePace {
  /** For FileSpace: after each write. */
  readonly afterWrite: () => void;
  private readonly memory: Memory;
  private readonly region: number;
  private isLater = false;

  constructor(memory: Memory, region: number) {
    this.memory = memory;
    this.region = region;
    this.afterWrite = () => {
      if (!this.isLater) balanceDirty(memory, region);
    };
  }

  /** Runs a write, then waits as long as it must, without blocking. */
  async later<T>(write: () => T): Promise<T> {
    this.isLater = true;
    let result: T;
    try {
      result = write();
    } finally {
      this.isLater = false;
    }
    await balanceDirtyAsync(this.memory, this.region);
    return result;
  }
}
