/** A store of in-heap maps: the server without Quire under it. */
import type { Store } from '../store.ts';
import { MemoryByteMap } from './memory-byte-map.ts';

export class MemoryStore implements Store {
  readonly budget: number;
  readonly maps = new Map<number, MemoryByteMap>();
  isClosed = false;
  private readonly clock: () => number;

  constructor(budget = 256 * 1024 * 1024, clock: () => number = Date.now) {
    this.budget = budget;
    this.clock = clock;
  }

  database(index: number): MemoryByteMap {
    const known = this.maps.get(index);
    if (known !== undefined) return known;
    const made = new MemoryByteMap(this.clock);
    this.maps.set(index, made);
    return made;
  }

  memoryUsed(): number {
    let sum = 0;
    for (const map of this.maps.values()) sum += map.bytes;
    return sum;
  }

  stats(): Record<string, number> {
    return { maps: this.maps.size };
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}
