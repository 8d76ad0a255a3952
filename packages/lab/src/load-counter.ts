/**
 * Counts loads of a node's words by the table they belong to. `front` is handed out in place of the words: a plain load goes
 * through a proxy; Atomics, which take no proxy, are replaced while `run` runs and see through it. An atomic operation that
 * changes a word loads it too and counts; a plain store does not.
 */

/* What a word is of. */
export const ENTRY = 1;
export const ROOT = 2;
export const DESCRIPTOR = 3;
export const SLOT_WORD = 4;
export const SEQUENCE = 5;

export interface TableLoads {
  readonly entry: number;
  readonly root: number;
  readonly descriptor: number;
  readonly slotWord: number;
  readonly sequence: number;
}

const LOADING = ['load', 'add', 'sub', 'or', 'and', 'xor', 'exchange', 'compareExchange'] as const;
const STORING = ['store', 'wait', 'notify'] as const;

type AtomicsFunction = (words: Int32Array, index: number, ...rest: unknown[]) => unknown;

export class LoadCounter {
  readonly front: Int32Array;
  readonly #words: Int32Array;
  readonly #kinds: Uint8Array;
  readonly #counts = new Float64Array(6);

  constructor(words: Int32Array, kinds: Uint8Array) {
    this.#words = words;
    this.#kinds = kinds;
    this.front = new Proxy(words, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value === 'function') return value.bind(target) as unknown;
        if (typeof name === 'string') this.#note(Number(name));
        return value;
      },
      set: (target, name, value) => Reflect.set(target, name, value, target),
    });
  }

  get loads(): TableLoads {
    const [, entry, root, descriptor, slotWord, sequence] = this.#counts;
    return { entry, root, descriptor, slotWord, sequence };
  }

  run(work: () => void): void {
    const own = new Map<string, AtomicsFunction>();
    const functions = Atomics as unknown as Record<string, AtomicsFunction>;
    for (const name of [...LOADING, ...STORING]) {
      const original = functions[name];
      own.set(name, original);
      const isLoad = (LOADING as readonly string[]).includes(name);
      functions[name] = (words, index, ...rest) => {
        if (words !== this.front) return original(words, index, ...rest);
        if (isLoad) this.#note(index);
        return original(this.#words, index, ...rest);
      };
    }
    try {
      work();
    } finally {
      for (const [name, original] of own) functions[name] = original;
    }
  }

  #note(index: number): void {
    const kind = this.#kinds[index];
    if (kind !== undefined && kind !== 0) this.#counts[kind] += 1;
  }
}
