/**
 * Preemption without threads. While a simulated thread is inside the core, another one may get in between at every
 * atomic operation, every kernel call and every wait: `Atomics` and the kernels are wrapped to count down to the next
 * such moment, at which the simulation runs steps of other threads before the operation goes on. Steps nest (last in,
 * first out); actors that stretch their work over several steps give the other orders, and
 * src/**\/*.interleaving.test.ts all orders of small models.
 *
 * What the core keeps per thread in module scope is saved and restored around a preemption, as it is private to a
 * real thread.
 */
import type { Kernel } from '../codec/kernel.ts';
import { allocatedOrder } from '../compaction/alloc-folio.ts';
import { gathered } from '../swap/zs-pool.ts';
import { filled } from '../vm/fault.ts';
import { lastIo } from '../vm/read-outcome.ts';

/**
 * Thrown out of a step that would have to wait for a lock which a thread below it on the stack holds. The step then
 * did not happen.
 */
export class Blocked extends Error {
  override readonly name = 'Blocked';
}

type Wrapped = 'load' | 'store' | 'add' | 'sub' | 'or' | 'exchange' | 'compareExchange';
const WRAPPED: readonly Wrapped[] = ['load', 'store', 'add', 'sub', 'or', 'exchange', 'compareExchange'];

let countdown = Number.POSITIVE_INFINITY;
let onPoint: () => void = () => undefined;
let onWait: () => void = () => undefined;

function point(): void {
  if (--countdown <= 0) fire();
}

function fire(): void {
  countdown = Number.POSITIVE_INFINITY;
  withThreadState(onPoint);
}

function withThreadState(run: () => void): void {
  const { length, isUnit, isZstd } = gathered;
  const done = filled.done;
  const cause = lastIo.cause;
  const order = allocatedOrder.value;
  run();
  gathered.length = length;
  gathered.isUnit = isUnit;
  gathered.isZstd = isZstd;
  filled.done = done;
  lastIo.cause = cause;
  allocatedOrder.value = order;
}

/** The next preemption comes after `operations` more points; Infinity: none. */
export function armPreemption(operations: number): void {
  countdown = operations;
}

export function pausePreemption(): number {
  const left = countdown;
  countdown = Number.POSITIVE_INFINITY;
  return left;
}

/** A place where a real thread would be off the processor for long: device calls. */
export function preemptNow(): void {
  withThreadState(onPoint);
}

/**
 * Wraps `Atomics`. `atPoint` runs at a preemption, `atWait` in place of a wait. Returns the function that puts
 * everything back. The wrapped functions are those in force at this moment, so a test may break them first.
 */
export function installPreemption(atPoint: () => void, atWait: () => void): () => void {
  onPoint = atPoint;
  onWait = atWait;
  countdown = Number.POSITIVE_INFINITY;
  const table = Atomics as unknown as Record<string, (...values: unknown[]) => unknown>;
  const before = new Map<string, (...values: unknown[]) => unknown>();
  for (const name of [...WRAPPED, 'wait']) before.set(name, table[name]);
  wrapAtomics();
  table['wait'] = () => {
    withThreadState(onWait);
    return 'timed-out';
  };
  return () => {
    countdown = Number.POSITIVE_INFINITY;
    for (const [name, original] of before) table[name] = original;
  };
}

/** One function each, of fixed arity: these are the hottest calls of a simulation. */
function wrapAtomics(): void {
  const { load, store, add, sub, or, exchange, compareExchange } = Atomics as unknown as PlainAtomics;
  const wrapped: PlainAtomics = {
    load: (array, at) => {
      point();
      return load(array, at);
    },
    store: (array, at, value) => {
      point();
      return store(array, at, value);
    },
    add: (array, at, value) => {
      point();
      return add(array, at, value);
    },
    sub: (array, at, value) => {
      point();
      return sub(array, at, value);
    },
    or: (array, at, value) => {
      point();
      return or(array, at, value);
    },
    exchange: (array, at, value) => {
      point();
      return exchange(array, at, value);
    },
    compareExchange: (array, at, expected, value) => {
      point();
      return compareExchange(array, at, expected, value);
    },
  };
  Object.assign(Atomics, wrapped);
}

interface PlainAtomics {
  load(array: Int32Array, at: number): number;
  store(array: Int32Array, at: number, value: number): number;
  add(array: Int32Array, at: number, value: number): number;
  sub(array: Int32Array, at: number, value: number): number;
  or(array: Int32Array, at: number, value: number): number;
  exchange(array: Int32Array, at: number, value: number): number;
  compareExchange(array: Int32Array, at: number, expected: number, value: number): number;
}

/** The same kernel, with a point before each call that touches pages. */
export function preemptibleKernel(kernel: Kernel): Kernel {
  return {
    ...kernel,
    compress: (src, length, dst, capacity, table) => {
      point();
      return kernel.compress(src, length, dst, capacity, table);
    },
    decompressPartial: (src, length, dst, wanted, capacity) => {
      point();
      return kernel.decompressPartial(src, length, dst, wanted, capacity);
    },
    readPage: (block, generationAt, generation, entryAt, from, end, bucket) => {
      point();
      return kernel.readPage(block, generationAt, generation, entryAt, from, end, bucket);
    },
    readParts: (block, generationAt, generation, object, from, end, target) => {
      point();
      return kernel.readParts(block, generationAt, generation, object, from, end, target);
    },
    isSameFilled: (src, length) => {
      point();
      return kernel.isSameFilled(src, length);
    },
    copy: (dst, src, length) => {
      point();
      kernel.copy(dst, src, length);
    },
    fill: (dst, byte, length) => {
      point();
      kernel.fill(dst, byte, length);
    },
    crc32c: (seed, src, length, table, scratch) => {
      point();
      return kernel.crc32c(seed, src, length, table, scratch);
    },
  };
}
