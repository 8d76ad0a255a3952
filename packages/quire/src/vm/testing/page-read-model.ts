/**
 * The kernels `readPage` and `readParts` (assembly/read-page.ts) as steps over a small memory: the loads of shared memory that decide, in the order in which
 * they are made, and the read of the device between the two. One entry, one slot, two frames of two words, room for two objects whose second part lies in
 * another frame, and a file with room for two.
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
/** 0 while the instance is open. */
export const STATE = TAILS + 2;
const FILES = STATE + 1;
const FILE_WORDS = 4;
export const PLACES_END = FILES + 2 * FILE_WORDS;

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
/** A raw page on file: header, part, header, part. */
export const fileOf = (granule: number): number => FILES + granule * FILE_WORDS;

const FRAME = 1;
const OBJECT = 3;
const RAW = 4;
const FILE = 5;
export const wordOfObject = (place: number): number => (place << 3) | OBJECT;
export const wordOfFrame = (frame: number): number => (frame << 3) | FRAME;
export const wordOfRaw = (frame: number): number => (frame << 3) | RAW;
export const wordOfFile = (granule: number): number => (granule << 3) | FILE;

/** The slot of the model, and one that is not in it. */
export const SLOT = 1;
export const OTHER_SLOT = 2;
/** A part's header: slot, number of the part, checksum. */
export const partHeader = (slot: number, part: number, content: number): number => slot * 1000 + part * 100 + content;
export const COMPRESSED = 9000;

export interface Variant {
  readonly looksAgain: boolean;
  readonly looksAtState: boolean;
  /** Afterwards. */
  readonly looksAtGeneration: boolean;
  /** A frame that a slot names: after its version. */
  readonly looksAtWordAgain: boolean;
  readonly looksAtSequenceAgain: boolean;
  /** What is loaded last, and compared: version or sequence. Broken: that, before the bytes; the slot's word; nothing. */
  readonly closing: 'last' | 'early' | 'word' | 'none';
  /** Parts on file: all, none, or those wanted but not the first header. */
  readonly checks: 'all' | 'wanted' | 'none';
  /** The first part on file that is wanted. */
  readonly firstPart: 0 | 1;
}

export const REAL: Variant = {
  looksAgain: true,
  looksAtState: true,
  looksAtGeneration: true,
  looksAtWordAgain: true,
  looksAtSequenceAgain: true,
  closing: 'last',
  checks: 'all',
  firstPart: 0,
};

export type Read = readonly number[] | undefined;

/** The kernel: parts of the page, or undefined: left to openRead. The leaf was found under generation 0. */
export function* readPage(variant: Variant): Steps<Read> {
  if (variant.looksAtState && (yield* load(STATE)) !== 0) return undefined;
  if ((yield* load(GENERATION)) !== 0) return undefined;
  const entry = yield* load(ENTRY);
  let read: Read;
  if ((entry & 3) === PRESENT) read = yield* readResident(variant, entry);
  else if ((entry & 3) === SWAPPED) read = yield* readSwapped(variant, entry);
  if (read === undefined) return undefined;
  if (variant.looksAtGeneration && (yield* load(GENERATION)) !== 0) return undefined;
  return read;
}

function* readResident(variant: Variant, entry: number): Steps<Read> {
  const frame = entry >>> 2;
  const version = yield* load(VERSIONS + frame);
  if (variant.looksAgain && (yield* load(ENTRY)) !== entry) return undefined;
  return yield* frameBytes(variant, frame, version);
}

function* frameBytes(variant: Variant, frame: number, version: number): Steps<Read> {
  if (variant.closing === 'early' && (yield* load(VERSIONS + frame)) !== version) return undefined;
  const bytes = [yield* load(bytesOf(frame)), yield* load(bytesOf(frame) + 1)];
  if (variant.closing === 'last' && (yield* load(VERSIONS + frame)) !== version) return undefined;
  return bytes;
}

function* slotWord(): Steps<number> {
  const table = yield* load(yield* load(ROOT));
  return table === 0 ? 0 : yield* load(table);
}

export function* readSwapped(variant: Variant, entry: number): Steps<Read> {
  const sequence = yield* load(SEQUENCE);
  if (variant.looksAgain && (yield* load(ENTRY)) !== entry) return undefined;
  const word = yield* slotWord();
  const tag = word & 7;
  if (tag === OBJECT) return yield* readObject(variant, sequence, word);
  if (tag === FILE) return yield* readOnFile(variant, sequence, word);
  return tag === FRAME || tag === RAW ? yield* readStorageFrame(variant, sequence, word) : undefined;
}

function* readStorageFrame(variant: Variant, sequence: number, word: number): Steps<Read> {
  const frame = word >>> 3;
  const version = yield* load(VERSIONS + frame);
  if (variant.looksAtWordAgain && (yield* slotWord()) !== word) return undefined;
  if (variant.looksAtSequenceAgain && (yield* load(SEQUENCE)) !== sequence) return undefined;
  return yield* frameBytes(variant, frame, version);
}

function* readObject(variant: Variant, sequence: number, word: number): Steps<Read> {
  const place = word >>> 3;
  const header = yield* load(headerOf(place));
  if (header === FREE) return undefined;
  if (variant.closing === 'early' && (yield* load(SEQUENCE)) !== sequence) return undefined;
  const bytes = yield* objectBytes(place, header);
  return (yield* isClosed(variant, sequence, word)) ? bytes : undefined;
}

function* isClosed(variant: Variant, sequence: number, word: number): Steps<boolean> {
  if (variant.closing === 'last') return (yield* load(SEQUENCE)) === sequence;
  if (variant.closing === 'word') return (yield* slotWord()) === word;
  return true;
}

function* objectBytes(place: number, header: number): Steps<Read> {
  if (header === WHOLE) return [yield* load(firstOf(place))];
  const next = yield* load(nextOf(place));
  return [yield* load(firstOf(place)), yield* load(next)];
}

/** READ_ON_FILE, the read of the device, and `readParts`. */
function* readOnFile(variant: Variant, sequence: number, word: number): Steps<Read> {
  const at = fileOf(word >>> 3);
  if (variant.closing === 'early' && (yield* load(SEQUENCE)) !== sequence) return undefined;
  const object: number[] = [];
  for (let i = 0; i < FILE_WORDS; i++) object.push(yield* load(at + i));
  const isRaw = Math.floor(object[0] / 100) === SLOT * 10;
  if (variant.checks === 'all' && !isRaw) return undefined;
  const read: number[] = [];
  for (let part: number = variant.firstPart; part < 2; part++) {
    const content = object[2 * part + 1];
    if (variant.checks !== 'none' && object[2 * part] !== partHeader(SLOT, part, content)) return undefined;
    read.push(content);
  }
  return (yield* isClosed(variant, sequence, word)) ? read : undefined;
}

/** Where the page is. */
export type Place = 'resident' | 'frame' | 'raw' | 'object' | 'file';

/** A page with this content: in frame 0, or in its slot at place 0. */
export function fillMemory(memory: number[], where: Place, content: number): void {
  memory[ROOT] = TABLE;
  memory[TABLE] = WORD;
  for (const place of [0, 1]) memory[nextOf(place)] = tailAt(place);
  const words = { resident: 0, frame: wordOfFrame(0), raw: wordOfRaw(0), object: wordOfObject(0), file: wordOfFile(0) };
  memory[ENTRY] = where === 'resident' ? entryOf(0) : SWAPPED;
  memory[WORD] = words[where];
  if (where === 'object') {
    memory[headerOf(0)] = STRADDLES;
    memory[firstOf(0)] = content;
    memory[tailAt(0)] = content;
  } else if (where === 'file') {
    fileObject(SLOT, content).forEach((word, i) => {
      memory[fileOf(0) + i] = word;
    });
  } else memory.fill(content, bytesOf(0), bytesOf(1));
}

/** Words of a raw page on file. */
export function fileObject(slot: number, content: number): number[] {
  return [0, 1].flatMap((part) => [partHeader(slot, part, content), content]);
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
    [STATE]: 'state',
  };
  if (at in names) return names[at];
  if (at < BYTES) return 'version';
  if (at >= FILES) return 'device';
  if (at >= TAILS || at < OBJECTS) return 'bytes';
  return ['header', 'bytes', 'next'][(at - OBJECTS) % OBJECT_WORDS];
}

/** The names of the kernels' loads over a memory at rest, neighbours of one name once. */
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
