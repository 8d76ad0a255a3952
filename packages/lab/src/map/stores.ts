/**
 * The key-value stores of `lab map` behind one shape: string keys, values of bytes. Each is opened with the settings that
 * make it fastest here; what a `get` gives back is part of the comparison and said beside it.
 */
import { join } from 'node:path';
import { open } from 'lmdb';
import { LRUCache } from 'lru-cache';
import { openQuire } from '../quire.ts';

export interface KeyValueStore {
  set(key: string, value: Uint8Array): void;
  get(key: string): Uint8Array | undefined;
  /** Called once after the last set. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** Column name → what its `get` returns. */
export const STORES = {
  quire: 'a fresh copy',
  lmdb: 'a fresh copy (getBinary)',
  lmdb_cache: "an object kept in lmdb's cache (cache: true)",
  lmdb_fast: 'a buffer valid until the next get (getBinaryFast)',
  'lru-cache': 'the stored object',
  map: 'the stored object',
} as const;

export type StoreName = keyof typeof STORES;

const nothing = () => Promise.resolve();

/**
 * @param budgetBytes what Quire may take; the others are unlimited.
 * @param folder for the files of stores that have some. Throws ColumnAbsent when the store is not here.
 */
export async function openStore(
  name: StoreName,
  entries: number,
  budgetBytes: number,
  folder: string,
): Promise<KeyValueStore> {
  if (name === 'quire') return quireStore(budgetBytes);
  if (name === 'lru-cache') {
    const cache = new LRUCache<string, Uint8Array>({ max: entries });
    return {
      set: (key, value) => cache.set(key, Buffer.from(value)),
      get: (key) => cache.get(key),
      settle: nothing,
      close: nothing,
    };
  }
  if (name === 'map') {
    const map = new Map<string, Uint8Array>();
    return {
      set: (key, value) => map.set(key, Buffer.from(value)),
      get: (key) => map.get(key),
      settle: nothing,
      close: nothing,
    };
  }
  return lmdbStore(name, folder);
}

async function quireStore(budgetBytes: number): Promise<KeyValueStore> {
  const quire = await openQuire({ budget: budgetBytes, threads: 'auto' });
  const map = quire.map({ name: 'lab', value: 'bytes' });
  return {
    set: (key, value) => map.set(key, value),
    get: (key) => map.get(key),
    settle: nothing,
    close: () => quire.close(),
  };
}

function lmdbStore(name: 'lmdb' | 'lmdb_cache' | 'lmdb_fast', folder: string): KeyValueStore {
  const path = join(folder, name);
  const cache = name === 'lmdb_cache';
  const db = open<Buffer, string>({
    path,
    encoding: 'binary',
    noSync: true,
    noSubdir: true,
    compression: false,
    cache,
  });
  const readers = {
    lmdb: (key: string) => db.getBinary(key),
    lmdb_cache: (key: string) => db.get(key),
    lmdb_fast: (key: string) => db.getBinaryFast(key),
  };
  return {
    set: (key, value) => void db.put(key, Buffer.from(value)),
    get: readers[name],
    settle: async () => void (await db.flushed),
    close: () => db.close(),
  };
}
