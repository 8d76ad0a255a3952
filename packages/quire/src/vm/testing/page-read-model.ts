/**
 * The kernel `readPage` (assembly/read-page.ts) as steps over a small memory, and its caller: the loads of shared memory that decide, in the order in which
 * the kernel makes them. One entry, one slot, two frames of two words, room for two objects whose second part lies in another frame.
 */
import { load, type Steps } from '../../interleaving/testing/explore.ts';

export const ENTRY = 1;
export const GENERATION = 2;
export const SEQUENCE = 3;
/** Root, then table, lead to the slot's word. */
export const ROOT = 4;
export const TABLE = 5;
export const WORD = 6;
/** Of two frames. */
export const VERSIONS = 7;
const BYTES = 9;
const OBJECTS = 13;
const OBJECT_WORDS = 3;
const TAILS = OBJECTS + 2 * OBJECT_WORDS;
export const PLACES_END = TAILS + 2;

/* Entries. */
const PRESENT = 1;
export const SWAPPED = 2;
/* Headers of objects. */
export const FREE = 0;
export const WHOLE = 1;
export const STRADDLES = 2;

export const entryOf = (frame: number): number => (frame << 2) | PRESENT;
export const bytesOf = (frame: number): number => BYTES + 2 * frame;
export const headerOf = (place: number): number => OBJECTS + place * OBJECT_WORDS;
export const firstOf = (place: number): number => headerOf(place) + 1;
/** Leads to the second part. */
export const nextOf = (place: number): number => headerOf(place) + 2;
export const tailAt = (place: number): number => TAILS + place;

const OBJECT = 3;
const FRAME = 1;
export const wordOfObject = (place: number): number => (place << 3) | OBJECT;
export const wordOfFrame = (frame: number): number => (frame << 3) | FRAME;

export interface Variant {
  readonly looksAgain: boolean;
  readonly looksAtGeneration: boolean;
  /** What is loaded last, and compared: version or sequence. Broken: that, before the bytes; the slot's word; nothing. */
  readonly closing: 'last' | 'early' | 'word' | 'none';
}

export const REAL: Variant = { looksAgain: true, looksAtGeneration: true, closing: 'last' };

export type Read = readonly number[] | undefined;

/** RegionSpace.readAtOnce: the two parts of the page, or undefined: left to openRead. */
export function* readAtOnce(variant: Variant): Steps<Read> {
  const generation = yield* load(GENERATION);
  // Its leaf is found no more.
  if (generation !== 0) return undefined;
  const read = yield* readPage(variant);
  if (read === undefined) return undefined;
  if (variant.looksAtGeneration && (yield* load(GENERATION)) !== generation) return undefined;
  return read;
}

/** The kernel. */
export function* readPage(variant: Variant): Steps<Read> {
  const entry = yield* load(ENTRY);
  if ((entry & 3) === PRESENT) return yield* readResident(variant, entry);
  if ((entry & 3) !== SWAPPED) return undefined;
  return yield* readObject(variant, entry);
}

function* readResident(variant: Variant, entry: number): Steps<Read> {
  const frame = entry >>> 2;
  const version = yield* load(VERSIONS + frame);
  if (variant.looksAgain && (yield* load(ENTRY)) !== entry) return undefined;
  if (variant.closing === 'early' && (yield* load(VERSIONS + frame)) !== version) return undefined;
  const bytes = [yield* load(bytesOf(frame)), yield* load(bytesOf(frame) + 1)];
  if (variant.closing === 'last' && (yield* load(VERSIONS + frame)) !== version) return undefined;
  return bytes;
}

function* readObject(variant: Variant, entry: number): Steps<Read> {
  const sequence = yield* load(SEQUENCE);
  if (variant.looksAgain && (yield* load(ENTRY)) !== entry) return undefined;
  const table = yield* load(yield* load(ROOT));
  if (table === 0) return undefined;
  const word = yield* load(table);
  if ((word & 7) !== OBJECT) return undefined;
  const place = word >>> 3;
  const header = yield* load(headerOf(place));
  if (header === FREE) return undefined;
  if (variant.closing === 'early' && (yield* load(SEQUENCE)) !== sequence) return undefined;
  const bytes = yield* objectBytes(place, header);
  if (variant.closing === 'last' && (yield* load(SEQUENCE)) !== sequence) return undefined;
  if (variant.closing === 'word' && (yield* load(table)) !== word) return undefined;
  return bytes;
}

function* objectBytes(place: number, header: number): Steps<Read> {
  if (header === WHOLE) return [yield* load(firstOf(place))];
  const next = yield* load(nextOf(place));
  return [yield* load(firstOf(place)), yield* load(next)];
}

/** A page with this content, in frame 0 or in its slot at place 0. */
export function fillMemory(memory: number[], isResident: boolean, content: number): void {
  memory[ROOT] = TABLE;
  memory[TABLE] = WORD;
  for (const place of [0, 1]) memory[nextOf(place)] = tailAt(place);
  if (isResident) {
    memory[ENTRY] = entryOf(0);
    memory[bytesOf(0)] = content;
    memory[bytesOf(0) + 1] = content;
    return;
  }
  memory[ENTRY] = SWAPPED;
  memory[WORD] = wordOfObject(0);
  memory[headerOf(0)] = STRADDLES;
  memory[firstOf(0)] = content;
  memory[tailAt(0)] = content;
}

/** What a load of the model is called. */
export function nameOf(at: number): string {
  const names: Record<number, string> = {
    [ENTRY]: 'entry',
    [GENERATION]: 'generation',
    [SEQUENCE]: 'sequence',
    [ROOT]: 'root',
    [TABLE]: 'table',
    [WORD]: 'word',
  };
  if (at in names) return names[at];
  if (at < BYTES) return 'version';
  if (at >= TAILS || at < OBJECTS) return 'bytes';
  return ['header', 'bytes', 'next'][(at - OBJECTS) % OBJECT_WORDS];
}

/** The names of the kernel's loads over a memory at rest, neighbours of one name once. */
export function loadsOf(memory: readonly number[]): string[] {
  const names: string[] = [];
  const steps = readPage(REAL);
  const words = Int32Array.from(memory);
  for (let step = steps.next(0); step.done !== true; ) {
    const at = Number(step.value.text.slice('load '.length));
    if (names.at(-1) !== nameOf(at)) names.push(nameOf(at));
    step = steps.next(words[at]);
  }
  return names;
}
