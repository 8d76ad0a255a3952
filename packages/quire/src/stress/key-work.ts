/**
 * Work on the map, with keys that all workers share. The writers of a key take turns, so its versions are set in
 * order; readers do not wait. A read that began when version a was done and ended when version b had begun must find
 * one of a … b; and nobody ever reads backwards.
 */
import type { Quire } from '../api/quire.ts';
import type { QuireMap } from '../map/quire-map.ts';
import type { Random } from '../simulator/random.ts';
import { lockWord, type SharedState, type StressPlan, unlockWord } from './plan.ts';
import { describeValue, type Values, versionOf } from './values.ts';

export class KeyWork {
  readonly map: QuireMap<number, Uint8Array>;
  private readonly shared: SharedState;
  private readonly values: Values;
  private readonly random: Random;
  private readonly counts: Record<string, number>;
  private readonly keys: number;
  /** The newest version this thread has seen of each key. */
  private readonly seen: Int32Array;

  constructor(
    quire: Quire,
    plan: StressPlan,
    shared: SharedState,
    values: Values,
    random: Random,
    counts: Record<string, number>,
  ) {
    this.map = quire.map<number, Uint8Array>({ name: 'keys' });
    this.shared = shared;
    this.values = values;
    this.random = random;
    this.counts = counts;
    this.keys = plan.keys;
    this.seen = new Int32Array(plan.keys);
  }

  async step(): Promise<void> {
    const key = this.random.chance(0.7) ? this.random.below(this.keys / 10) : this.random.below(this.keys);
    const dice = this.random.below(100);
    if (dice < 50) this.read(key);
    else if (dice < 60) await this.readAsync(key);
    else if (dice < 95) this.write(key);
    else this.iterate();
  }

  read(key: number): void {
    const floor = Atomics.load(this.shared.keyDone, key);
    this.check(key, floor, this.map.get(key));
  }

  private async readAsync(key: number): Promise<void> {
    const floor = Atomics.load(this.shared.keyDone, key);
    this.check(key, floor, await this.map.getAsync(key));
  }

  write(key: number): void {
    lockWord(this.shared.keyLocks, key);
    try {
      const version = Atomics.add(this.shared.keyStarted, key, 1) + 1;
      if (this.values.isAbsent(key, version)) this.map.delete(key);
      else this.map.set(key, this.values.make(key, version, this.values.lengthOf(key, version)));
      Atomics.store(this.shared.keyDone, key, version);
      this.counts['key_writes']++;
    } finally {
      unlockWord(this.shared.keyLocks, key);
    }
  }

  /** Some entries in the map's own order, while it changes. */
  private iterate(): void {
    let left = 20;
    for (const [key, value] of this.map) {
      if (versionOf(value) < 1 || key < 0 || key >= this.keys)
        throw new Error(`iteration found key ${key} with ${describeValue(value)}`);
      if (--left === 0) break;
    }
    this.counts['iterations']++;
  }

  private check(key: number, floor: number, value: Uint8Array | undefined): void {
    this.counts['key_reads']++;
    const ceiling = Atomics.load(this.shared.keyStarted, key);
    const from = Math.max(floor, this.seen[key]);
    if (value === undefined) {
      for (let version = from; version <= ceiling; version++) if (this.values.isAbsent(key, version)) return;
      throw new Error(`key ${key} is absent, though no version of ${from} … ${ceiling} is a deletion`);
    }
    const version = versionOf(value);
    if (version < from || version > ceiling) {
      throw new Error(`key ${key}: expected a version of ${from} … ${ceiling}, found ${describeValue(value)}`);
    }
    if (Buffer.compare(value, this.values.make(key, version, this.values.lengthOf(key, version))) !== 0) {
      throw new Error(`key ${key}: version ${version} is damaged, found ${describeValue(value)}`);
    }
    this.seen[key] = version;
  }
}
