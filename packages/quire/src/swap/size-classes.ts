/**
 * Size classes of the compressed pool (after mm/zsmalloc.c). A class is an object size and a zspage of 1…5 frames
 * chosen so that little is left over; classes that would hold the same number of objects in the same number of frames
 * are one class with the largest such size. Above the pages' classes come those of units (swap/unit.ts), in longer chains,
 * since sizes are coarse where few objects fit a chain.
 */
export const OBJECT_ALIGN = 16;
export const OBJECT_BYTES_MIN = 64;
/**
 * Five of these fit four frames. Anything larger saves less than a tenth of a frame and is kept raw (zsmalloc's huge
 * class).
 */
export const OBJECT_BYTES_MAX = 3264;
const CHAIN_MAX = 5;
/** A unit that saves less than a quarter is not worth one: its pages are stored one by one. */
export const UNIT_OBJECT_BYTES_MAX = 12_288;
const UNIT_CHAIN_MAX = 8;
/** Sizes tried for units. */
const UNIT_STEP = 128;

export interface SizeClass {
  readonly bytes: number;
  readonly frames: number;
  readonly objects: number;
}

export const SIZE_CLASSES: readonly SizeClass[] = buildClasses();

/** Class number by ceil(bytes / 16). */
const CLASS_BY_GRANULES: Uint8Array = buildIndex();

export function classFor(bytes: number): number {
  return CLASS_BY_GRANULES[(bytes + OBJECT_ALIGN - 1) >> 4];
}

function bestChain(bytes: number, chainMax: number): SizeClass {
  let best: SizeClass | undefined;
  let bestWaste = 1;
  for (let frames = 1; frames <= chainMax; frames++) {
    const objects = Math.floor((frames * 4096) / bytes);
    const waste = (frames * 4096 - objects * bytes) / (frames * 4096);
    // Indices must fit a byte, and a longer chain must pay for itself.
    if (objects > 0 && objects <= 255 && waste < bestWaste - 0.005) {
      best = { bytes, frames, objects };
      bestWaste = waste;
    }
  }
  return best as SizeClass;
}

function buildClasses(): SizeClass[] {
  const classes: SizeClass[] = [];
  const add = (candidate: SizeClass): void => {
    const last = classes.at(-1);
    if (last !== undefined && last.frames === candidate.frames && last.objects === candidate.objects) classes.pop();
    classes.push(candidate);
  };
  for (let bytes = OBJECT_BYTES_MIN; bytes <= OBJECT_BYTES_MAX; bytes += OBJECT_ALIGN) add(bestChain(bytes, CHAIN_MAX));
  for (let bytes = OBJECT_BYTES_MAX + UNIT_STEP; bytes <= UNIT_OBJECT_BYTES_MAX; bytes += OBJECT_ALIGN) {
    add(bestChain(bytes, UNIT_CHAIN_MAX));
  }
  return classes;
}

function buildIndex(): Uint8Array {
  const index = new Uint8Array(UNIT_OBJECT_BYTES_MAX / OBJECT_ALIGN + 1);
  let cls = 0;
  for (let granules = 0; granules < index.length; granules++) {
    while (SIZE_CLASSES[cls].bytes < granules * OBJECT_ALIGN) cls++;
    index[granules] = cls;
  }
  return index;
}
