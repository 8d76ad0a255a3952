import { CONTROL_WORDS } from '../control.ts';
import type { MapSpaces } from '../map-core.ts';
import { PageMap } from '../page-map.ts';
import type { PageMapOptions } from '../page-map-options.ts';
import { createPlainMemory, PlainFaults, type PlainHandle, PlainPageSpace } from './plain-page-space.ts';

/** A PageMap over plain page spaces, and what another thread needs to attach to it. */
export interface PlainMap {
  readonly map: PageMap;
  readonly spaces: MapSpaces;
  readonly control: Int32Array;
  readonly faults: PlainFaults;
  readonly handle: PlainMapHandle;
  /** Frames in use by all three spaces. */
  framesUsed(): number;
}

/** Can be sent to another thread. */
export interface PlainMapHandle {
  readonly index: PlainHandle;
  readonly heap: PlainHandle;
  readonly meta: PlainHandle;
  readonly control: SharedArrayBuffer;
}

/** `frameCount`: frames of 4 KiB for all spaces. */
export function createPlainMap(frameCount: number, options: PageMapOptions = {}, faults = new PlainFaults()): PlainMap {
  const memory = createPlainMemory(frameCount);
  const spaces = {
    index: PlainPageSpace.create(memory, 2 ** 30, faults),
    heap: PlainPageSpace.create(memory, 2 ** 34, faults),
    meta: PlainPageSpace.create(memory, 2 ** 28, faults),
  };
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
  const map = PageMap.create(spaces, control, { seed: 1, ...options });
  return plainMap(map, spaces, control, faults);
}

export function attachPlainMap(handle: PlainMapHandle, options: PageMapOptions = {}): PlainMap {
  const faults = new PlainFaults();
  const spaces = {
    index: new PlainPageSpace(handle.index, faults),
    heap: new PlainPageSpace(handle.heap, faults),
    meta: new PlainPageSpace(handle.meta, faults),
  };
  const control = new Int32Array(handle.control);
  return plainMap(PageMap.attach(spaces, control, options), spaces, control, faults);
}

function plainMap(
  map: PageMap,
  spaces: { index: PlainPageSpace; heap: PlainPageSpace; meta: PlainPageSpace },
  control: Int32Array,
  faults: PlainFaults,
): PlainMap {
  const handle = {
    index: spaces.index.handle,
    heap: spaces.heap.handle,
    meta: spaces.meta.handle,
    control: control.buffer as SharedArrayBuffer,
  };
  return { map, spaces, control, faults, handle, framesUsed: () => spaces.heap.framesUsed };
}
