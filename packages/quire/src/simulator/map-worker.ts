/** A thread that works on the shared map, over real region spaces. */
import { QuireError } from '../base/errors.ts';
import { MAGIC } from '../map/control.ts';
import type { DisposeReason } from '../map/map-core.ts';
import { PageMap } from '../map/page-map.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { chunksFor, closeRegion, controlWords, openRegion } from '../vm/region-table.ts';
import type { LogicalThread } from './logical-thread.ts';
import type { Held, MapModel } from './map-model.ts';
import { Blocked } from './preemption.ts';
import type { Actor, StepMode, World } from './world.ts';

const SPACE_BYTES = 2 ** 34;
const KEYS = 1500;

interface Scan {
  cursor: number;
  readonly must: Set<string>;
  readonly seen: Set<string>;
}

const OK = 21;
const FULL = 22;
const FAULTED = 23;
const SKIPPED = 24;

export class MapWorker implements Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight = 6;
  readonly isLockFree = true;
  readonly map: PageMap;
  private readonly world: World;
  private readonly model: MapModel;
  private readonly regions: number[] = [];
  private scan: Scan | undefined;
  /** The key this thread is changing: its own dispose callbacks say nothing new about it. */
  private changing = '';

  constructor(world: World, thread: LogicalThread, model: MapModel, maxBytes: number) {
    this.world = world;
    this.thread = thread;
    this.model = model;
    this.name = `map of ${thread.name}`;
    const space = (part: string): RegionSpace => {
      const { region } = openRegion(thread.memory, `map:${part}`, chunksFor(SPACE_BYTES));
      this.regions.push(region);
      return new RegionSpace(thread.memory, region, SPACE_BYTES);
    };
    const spaces = { index: space('index'), heap: space('heap'), meta: space('meta') };
    const control = controlWords(thread.memory, spaces.heap.region);
    if (control === undefined) throw new Error('no frame for the control block');
    const options = {
      threadId: thread.index,
      maxBytes,
      now: () => world.nowMs,
      random: () => world.random.next() / 2 ** 32,
      seed: 7,
      dispose: (key: Uint8Array, _value: Uint8Array, reason: DisposeReason) => this.onDispose(key, reason),
    };
    this.map =
      control[MAGIC] === 0 ? PageMap.create(spaces, control, options) : PageMap.attach(spaces, control, options);
    // A lock that is held belongs to a thread further down the stack: waiting is of no use.
    (this.map.core.locks as unknown as { wait: () => void }).wait = () => {
      throw new Blocked();
    };
  }

  step(mode: StepMode): number {
    const spoilt = this.world.device?.spoiltReads;
    this.world.mapOperations++;
    try {
      return this.act(mode);
    } finally {
      this.world.mapOperations--;
      // An entry that cannot be read leaves without its callback.
      if (this.world.device?.spoiltReads !== spoilt) this.model.isDamaged = true;
    }
  }

  private act(mode: StepMode): number {
    const { random, mapOperations } = this.world;
    // While an operation is half way only reads may come in between: a change that meets its locks could not wait.
    if (mode.isLockHeld || mapOperations > 1) return this.get(mode.isLockHeld);
    const dice = random.below(100);
    if (dice < 40) return this.get(false);
    if (dice < 70) return this.set();
    if (dice < 80) return this.remove();
    if (dice < 86) return this.scanOn();
    if (dice < 90) return this.writeRange();
    if (dice < 94) return this.sweep(() => this.map.reap(random.between(1, 20)));
    if (dice < 97) return this.sweep(() => this.map.evict(random.between(1, 20_000)));
    if (dice < 99) return this.expireLater();
    return random.chance(0.02) ? this.clear() : this.valueLength();
  }

  private key(): string {
    const { random } = this.world;
    return `key:${random.chance(0.7) ? random.below(KEYS / 10) : random.below(KEYS)}`;
  }

  private get(isLockHeld: boolean): number {
    const key = this.key();
    const expires = this.model.valueOf(key)?.expiresAtMs ?? 0;
    // Meeting an expired entry removes it, which is a change, and one that cannot stop half way.
    if (expires !== 0 && (isLockHeld || this.world.mapOperations > 1)) return SKIPPED;
    const read = this.model.beginRead(key, this.world.nowMs);
    if (this.world.mapChanges > 0) read.seen.push(undefined);
    if (expires !== 0) this.world.mapChanges++;
    try {
      const value = this.map.get(bytesOf(key));
      this.model.endRead(read, value, this.world.nowMs);
      if (value !== undefined) this.world.trace.addBytes(value);
      return OK;
    } catch (error) {
      this.model.dropRead(read);
      return this.explain(error);
    } finally {
      if (expires !== 0) this.world.mapChanges--;
    }
  }

  private valueLength(): number {
    const key = this.key();
    const held = this.model.valueOf(key);
    if (held !== undefined && held.expiresAtMs !== 0) return SKIPPED;
    try {
      this.map.valueLength(bytesOf(key));
      return OK;
    } catch (error) {
      return this.explain(error);
    }
  }

  private set(): number {
    const { random, content, nowMs } = this.world;
    const key = this.key();
    const length = random.chance(0.85)
      ? random.below(600)
      : random.chance(0.9)
        ? random.below(12_000)
        : random.below(90_000);
    const expiresAtMs = random.chance(0.2) ? nowMs + random.between(1, 20_000) : 0;
    const value = content.make(length);
    return this.change(key, { value, expiresAtMs }, () => void this.map.set(bytesOf(key), value, expiresAtMs));
  }

  private remove(): number {
    const key = this.key();
    return this.change(key, undefined, () => void this.map.delete(bytesOf(key)));
  }

  private writeRange(): number {
    const { random, content, nowMs } = this.world;
    const key = this.key();
    const held = this.model.valueOf(key);
    const live = held !== undefined && (held.expiresAtMs === 0 || held.expiresAtMs > nowMs) ? held : undefined;
    if (this.model.hasDoubts() || (live !== undefined && live.expiresAtMs !== 0)) return SKIPPED;
    const before = live?.value ?? new Uint8Array(0);
    const from = random.below(before.length + 50);
    const part = content.make(random.between(1, 300));
    const value = new Uint8Array(Math.max(before.length, from + part.length));
    value.set(before);
    value.set(part, from);
    return this.change(
      key,
      { value, expiresAtMs: live?.expiresAtMs ?? 0 },
      () => void this.map.writeRange(bytesOf(key), from, part),
    );
  }

  private expireLater(): number {
    const { random, nowMs } = this.world;
    const key = this.key();
    const held = this.model.valueOf(key);
    if (held === undefined || this.model.hasDoubts() || held.expiresAtMs !== 0) return SKIPPED;
    const expiresAtMs = nowMs + random.between(1, 5000);
    const next = { value: held.value, expiresAtMs };
    return this.change(key, next, () => void this.map.setExpiry(bytesOf(key), expiresAtMs));
  }

  private change(key: string, next: Held, run: () => void): number {
    const { model, world } = this;
    model.begin(key, next);
    model.mayLoseAny();
    world.mapChanges++;
    this.changing = key;
    try {
      run();
      model.end(key, next);
      return OK;
    } catch (error) {
      const isSure = world.isFull(error) || error instanceof Blocked;
      model.fail(key, next, isSure);
      return this.explain(error);
    } finally {
      this.changing = '';
      world.mapChanges--;
    }
  }

  private sweep(run: () => void): number {
    this.model.mayLoseAny();
    this.world.mapChanges++;
    try {
      run();
      return OK;
    } catch (error) {
      return this.explain(error);
    } finally {
      this.world.mapChanges--;
    }
  }

  private clear(): number {
    return this.sweep(() => {
      this.map.clear();
      this.model.clear();
    });
  }

  private scanOn(): number {
    this.scan ??= { cursor: 0, must: this.model.beginScan(), seen: new Set() };
    const scan = this.scan;
    try {
      scan.cursor = this.map.scan(scan.cursor, this.world.random.between(1, 30), (key) => scan.seen.add(textOf(key)));
    } catch (error) {
      return this.explain(error);
    }
    if (scan.cursor !== 0) return OK;
    this.scan = undefined;
    this.model.endScan(scan.must, scan.seen);
    return OK;
  }

  private onDispose(key: Uint8Array, reason: DisposeReason): void {
    const text = textOf(key);
    // What was set or deleted is known already; an entry that is being changed is settled at the end of the change.
    if (reason === 'set' || reason === 'delete' || text === this.changing) return;
    if (reason === 'expire') {
      const held = this.model.valueOf(text);
      if (held === undefined || held.expiresAtMs === 0 || held.expiresAtMs > this.world.nowMs) return;
    }
    this.model.remove(text);
  }

  private explain(error: unknown): number {
    if (error instanceof Blocked) throw error;
    if (this.world.isFull(error)) return FULL;
    const isFault =
      error instanceof QuireError && (error.code === 'ERR_QUIRE_IO' || error.code === 'ERR_QUIRE_CORRUPT');
    if (!isFault || this.world.device === undefined || this.world.device.injected === 0) throw error;
    this.model.isDamaged = true;
    return FAULTED;
  }

  close(): void {
    for (const region of this.regions.splice(0)) closeRegion(this.thread.memory, region);
  }
}

function bytesOf(key: string): Uint8Array {
  return new TextEncoder().encode(key);
}

function textOf(key: Uint8Array): string {
  return new TextDecoder().decode(key);
}
