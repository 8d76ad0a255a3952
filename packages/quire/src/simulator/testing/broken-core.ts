/** Ways to break the core without changing it: operations of Atomics on certain words that do not happen. */
import * as L from '../../arena/layout.ts';

type Name = 'add' | 'sub' | 'store';
type Operation = (array: Int32Array, at: number, value: number) => number;

/** Is this operation lost? `geometry` is that of the node the array belongs to. */
export type Loss = (at: number, value: number, geometry: L.NodeGeometry) => boolean;

/** Loses what `isLost` says, of operations on nodes. Returns the function that mends it. */
export function breakAtomics(name: Name, isLost: Loss): () => void {
  const table = Atomics as unknown as Record<Name, Operation>;
  const whole = table[name];
  const geometries = new Map<number, L.NodeGeometry>();
  table[name] = (array, at, value) => {
    if (array.length * 4 < L.NODE_BYTES_MIN || array[L.H_MAGIC] !== L.MAGIC) return whole(array, at, value);
    let geometry = geometries.get(array.length);
    if (geometry === undefined) geometries.set(array.length, (geometry = L.nodeGeometry(array.length * 4)));
    return isLost(at, value, geometry) ? array[at] : whole(array, at, value);
  };
  return () => {
    table[name] = whole;
  };
}

/** Is `at` in the given array of the frame table? */
export function inFrameArray(array: number, at: number, geometry: L.NodeGeometry): boolean {
  const start = geometry.frameTableAt + array * geometry.frames;
  return at >= start && at < start + geometry.frames;
}

export function isSequence(at: number): boolean {
  return at >= L.SEQUENCES_AT && at < L.SEQUENCES_AT + L.SEQUENCE_WORDS;
}

export function isGeneration(at: number): boolean {
  const region = at - L.REGIONS_AT;
  return region >= 0 && region < L.REGIONS_MAX * L.REGION_WORDS && region % L.REGION_WORDS === L.R_GENERATION;
}

/** Is `at` a count of pages of a group, in memory or swapped? */
export function isGroupCount(at: number): boolean {
  const word = (at - L.GROUPS_AT) % L.GROUP_WORDS;
  const isGroup = at >= L.GROUPS_AT && at < L.GROUPS_AT + L.GROUPS_MAX * L.GROUP_WORDS;
  return isGroup && (word === L.G_PAGES || word === L.G_SWAP_PAGES);
}

/** True for one call in `every`. */
export function oneIn(every: number): () => boolean {
  let calls = 0;
  return () => ++calls % every === 0;
}
