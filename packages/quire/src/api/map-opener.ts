/**
 * Opens maps: three regions (index, heap, meta) and a control block under one name. A map without a name gets one
 * nobody else can ask for.
 */
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { GIB } from '../base/units.ts';
import { PageMap } from '../map/page-map.ts';
import type { PageMapOptions } from '../map/page-map-options.ts';
import { type MapKey, QuireMap, type QuireMapOptions } from '../map/quire-map.ts';
import type { Memory } from '../vm/memory.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { chunksFor, closeRegion, controlWords, openRegion, setParts } from '../vm/region-table.ts';

/** Address space of a map's regions, not memory: 64 TiB would hold more records than the index can count. */
const HEAP_BYTES = 16 * 1024 * GIB;
const INDEX_BYTES = 1024 * GIB;
const META_BYTES = 256 * GIB;

/**
 * Words of the control block behind those of the map itself (map/control.ts): numbers of the index region (+ 1) and
 * the meta region.
 */
const PARTS = 1000;
const PARTS_FAILED = -1;
/** Making two regions takes microseconds; a thread that died in between must not stop the others for ever. */
const PARTS_WAIT_MS = 5000;

/** Under which name a map is found, '' for none, and the group it is charged to when it is made. */
export interface MapPlace {
  readonly name: string;
  readonly group: string;
}

interface OpenSpaces {
  readonly map: PageMap;
  close(): void;
}

/**
 * The heap region carries the name, and its uses are the map's: whoever makes it makes the other two, nameless, and
 * leaves their numbers in the control block; whoever gives up the last use closes all three. So there is one count
 * and one moment at which the map is there or gone.
 */
function openSpaces(memory: Memory, thread: number, place: MapPlace, options: PageMapOptions): OpenSpaces {
  const { name, group } = place;
  const info = openRegion(memory, name === '' ? '' : `map:${name}`, chunksFor(HEAP_BYTES), group);
  const heap = new RegionSpace(memory, info.region, HEAP_BYTES);
  let parts: [RegionSpace, RegionSpace] | undefined;
  let isClosed = false;
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    heap.close();
    for (const space of parts ?? []) space.close();
    // Read before the control block goes with the heap.
    const regions = parts?.map((space) => space.region) ?? [];
    if (closeRegion(memory, info.region)) for (const region of regions) closeRegion(memory, region);
  };
  try {
    const control = controlWords(memory, info.region);
    parts = info.created ? makeParts(memory, info.region, control, group) : findParts(memory, control);
    const map = PageMap.open({ index: parts[0], heap, meta: parts[1] }, control, {
      ...options,
      threadId: thread,
      checkAlive: () => heap.checkAlive(),
      isThreadDead: memory.isWorkerDead,
    });
    return { map, close };
  } catch (error) {
    close();
    throw error;
  }
}

function makeParts(memory: Memory, region: number, control: Int32Array, group: string): [RegionSpace, RegionSpace] {
  const made: RegionSpace[] = [];
  try {
    for (const bytes of [INDEX_BYTES, META_BYTES]) {
      const part = openRegion(memory, '', chunksFor(bytes), group, L.REGION_MEMORY, true);
      made.push(new RegionSpace(memory, part.region, bytes));
    }
  } catch (error) {
    for (const space of made) closeRegion(memory, space.region);
    Atomics.store(control, PARTS, PARTS_FAILED);
    Atomics.notify(control, PARTS);
    throw error;
  }
  // For those who bury the map's only user.
  setParts(memory, region, [made[0].region, made[1].region]);
  Atomics.store(control, PARTS + 1, made[1].region);
  // Last: pairs with the load of findParts.
  Atomics.store(control, PARTS, made[0].region + 1);
  Atomics.notify(control, PARTS);
  return [made[0], made[1]];
}

function findParts(memory: Memory, control: Int32Array): [RegionSpace, RegionSpace] {
  Atomics.wait(control, PARTS, 0, PARTS_WAIT_MS);
  const index = Atomics.load(control, PARTS) - 1;
  if (index < 0) throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'the thread that was making this map gave up');
  return [
    new RegionSpace(memory, index, INDEX_BYTES),
    new RegionSpace(memory, Atomics.load(control, PARTS + 1), META_BYTES),
  ];
}

export function openMap<K extends MapKey, V>(
  memory: Memory,
  thread: number,
  options: QuireMapOptions<K, V> & MapPlace,
  forget: (map: QuireMap<K, V>) => void,
): QuireMap<K, V> {
  let spaces: OpenSpaces | undefined;
  const opened = QuireMap.open<K, V>(
    (settings) => {
      spaces = openSpaces(memory, thread, options, settings);
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
  options: PageMapOptions & MapPlace,
  forget: (map: OpenByteMap) => void,
): OpenByteMap {
  const { name, group, ...settings } = options;
  const spaces = openSpaces(memory, thread, { name, group }, settings);
  const opened: OpenByteMap = Object.assign(spaces.map, {
    close: (): void => {
      spaces.close();
      forget(opened);
    },
  });
  return opened;
}
