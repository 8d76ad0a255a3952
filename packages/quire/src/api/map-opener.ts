/**
 * Opens maps: three regions (index, heap, meta) and a control block under one name. A map without a name gets one
 * nobody else can ask for.
 */
import { randomUUID } from 'node:crypto';
import { QuireError } from '../base/errors.ts';
import { GIB } from '../base/units.ts';
import { PageMap } from '../map/page-map.ts';
import type { PageMapOptions } from '../map/page-map-options.ts';
import { type MapKey, QuireMap, type QuireMapOptions } from '../map/quire-map.ts';
import type { Memory } from '../vm/memory.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { chunksFor, closeRegion, controlWords, openRegion } from '../vm/region-table.ts';

/** Address space of a map's regions, not memory: 64 TiB would hold more records than the index can count. */
const HEAP_BYTES = 16 * 1024 * GIB;
const INDEX_BYTES = 1024 * GIB;
const META_BYTES = 256 * GIB;

interface OpenSpaces {
  readonly map: PageMap;
  close(): void;
}

function openSpaces(memory: Memory, thread: number, name: string, options: PageMapOptions): OpenSpaces {
  const base = `map:${name === '' ? randomUUID() : name}`;
  const regions: number[] = [];
  const close = (): void => {
    for (const region of regions.splice(0)) closeRegion(memory, region);
  };
  const open = (part: string, bytes: number): RegionSpace => {
    const info = openRegion(memory, `${base}:${part}`, chunksFor(bytes));
    regions.push(info.region);
    return new RegionSpace(memory, info.region, bytes);
  };
  try {
    const spaces = { index: open('i', INDEX_BYTES), heap: open('h', HEAP_BYTES), meta: open('m', META_BYTES) };
    const control = controlWords(memory, spaces.heap.region);
    if (control === undefined)
      throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'no memory for the control block of a map');
    const settings = { ...options, threadId: thread };
    const map = PageMap.open(spaces, control, settings);
    return { map, close };
  } catch (error) {
    close();
    throw error;
  }
}

export function openMap<K extends MapKey, V>(
  memory: Memory,
  thread: number,
  options: QuireMapOptions<K, V> & { readonly name: string },
  forget: (map: QuireMap<K, V>) => void,
): QuireMap<K, V> {
  let spaces: OpenSpaces | undefined;
  const opened = QuireMap.open<K, V>(
    (settings) => {
      spaces = openSpaces(memory, thread, options.name, settings);
      return spaces.map;
    },
    options,
    () => {
      spaces?.close();
      forget(opened);
    },
  );
  return opened;
}

/** A PageMap that gives its regions back when it is closed. */
export type OpenByteMap = PageMap & { close(): void };

export function openByteMap(
  memory: Memory,
  thread: number,
  options: PageMapOptions & { readonly name: string },
  forget: (map: OpenByteMap) => void,
): OpenByteMap {
  const { name, ...settings } = options;
  const spaces = openSpaces(memory, thread, name, settings);
  const opened: OpenByteMap = Object.assign(spaces.map, {
    close: (): void => {
      spaces.close();
      forget(opened);
    },
  });
  return opened;
}
