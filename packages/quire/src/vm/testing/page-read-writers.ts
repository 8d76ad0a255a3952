/**
 * What others do to the page of page-read-model.ts, and to the places it was in: steps of the functions that are named, in their order. All of it is under the
 * lock; where the page's old place is used again, it is so by any page.
 */
import { add, load, lock, type Steps, store, unlock } from '../../interleaving/testing/explore.ts';
import * as M from './page-read-model.ts';

/** Contents of the page are numbered in the order in which it had them; `OTHER` is what other pages hold. */
export const OLD = 10;
export const NEW = 20;
export const OTHER = 50;
const LOCK = 0;
/** Oldest content a read that begins now may find, and newest. Each change of the page moves NEWEST before and OLDEST after. */
export const OLDEST = M.PLACES_END;
export const NEWEST = M.PLACES_END + 1;
export const WORDS = M.PLACES_END + 2;

/** Broken: who takes storage away does not move the sequence; who takes a frame away does not move its version, or does so first. */
export interface WriterVariant {
  readonly movesSequence: boolean;
  readonly movesVersion: 'last' | 'first' | 'never';
}

export const SOUND: WriterVariant = { movesSequence: true, movesVersion: 'last' };
export type Writer = (variant: WriterVariant) => Steps;

function* use(frame: number): Steps {
  yield* store(M.bytesOf(frame), OTHER);
  yield* store(M.bytesOf(frame) + 1, OTHER);
}

/** Page in frame 0: unmapLocked, compressed, publishObjectLocked at place 0; its frame is another's then. */
export function* evict(): Steps {
  yield* lock(LOCK);
  yield* add(M.SEQUENCE, 1);
  yield* store(M.WORD, M.wordOfFrame(0));
  yield* store(M.ENTRY, M.SWAPPED);
  yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* publish();
}

function* writeObject(place: number, content: number): Steps {
  yield* store(M.headerOf(place), M.STRADDLES);
  yield* store(M.firstOf(place), content);
  yield* store(M.nextOf(place), M.tailAt(place));
  yield* store(M.tailAt(place), content);
}

/** moveRegionLocked: the page goes to frame 1, and frame 0 is another's. */
export function* moveFrame(): Steps {
  yield* lock(LOCK);
  yield* store(M.bytesOf(1), yield* load(M.bytesOf(0)));
  yield* store(M.bytesOf(1) + 1, yield* load(M.bytesOf(0) + 1));
  yield* store(M.ENTRY, M.entryOf(1));
  yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* use(0);
}

/** unmapPresentLocked; another page has the frame; then this one is written again, in frame 1. */
export function* discardResident(): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* use(0);
  yield* store(M.bytesOf(1), NEW);
  yield* store(M.bytesOf(1) + 1, NEW);
  yield* store(M.ENTRY, M.entryOf(1));
  yield* store(OLDEST, NEW);
}

/** detachLeafLocked or freeLeafLocked: the leaf becomes another region's, whose entry there names frame 1. */
export function* freeLeaf(): Steps {
  yield* store(M.GENERATION, 1);
  yield* store(M.ENTRY, M.entryOf(1));
}

/** fillFresh of a page at place 0: slot and object go, the page is in frame 0. Then another page is stored where it was, in its slot. */
export function* rewrite(variant: WriterVariant): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* freeSlot(variant);
  yield* store(M.headerOf(0), M.FREE);
  yield* store(M.ENTRY, M.entryOf(0));
  yield* store(OLDEST, NEW);
  yield* unlock(LOCK);
  yield* storeInSlot(variant, OTHER);
}

function* freeSlot(variant: WriterVariant): Steps {
  yield* store(M.WORD, 0);
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
}

/** allocSlotLocked and publishObjectLocked. */
function* storeInSlot(variant: WriterVariant, content: number): Steps {
  yield* lock(LOCK);
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* writeObject(0, content);
  yield* store(M.WORD, M.wordOfObject(0));
  yield* unlock(LOCK);
}

/** unmapSwappedLocked; then the page is written anew and goes out to the slot and the place that it had. */
export function* discardAndRewrite(variant: WriterVariant): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* freeSlot(variant);
  yield* store(M.headerOf(0), M.FREE);
  yield* unlock(LOCK);
  yield* storeInSlot(variant, NEW);
  yield* store(M.ENTRY, M.SWAPPED);
  yield* store(OLDEST, NEW);
}

/** The last slot of its cluster is discarded: the table's memory is anything's, here with a word that names another page's object. */
export function* freeTable(variant: WriterVariant): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* freeSlot(variant);
  yield* store(M.TABLE, 0);
  yield* unlock(LOCK);
  yield* writeObject(1, OTHER);
  yield* store(M.WORD, M.wordOfObject(1));
  yield* store(OLDEST, NEW);
}

/** moveObjectLocked of the pool's compactor: the page's object goes to place 1, and place 0 is another's. */
export function* moveObject(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* writeObject(1, OLD);
  yield* store(M.WORD, M.wordOfObject(1));
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* writeObject(0, OTHER);
}

/** moveZsFrameLocked of the frame that the object's second part lies in: the word stays, the chain changes. */
export function* moveTail(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* store(M.tailAt(1), yield* load(M.tailAt(0)));
  yield* store(M.nextOf(0), M.tailAt(1));
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* store(M.tailAt(0), OTHER);
}

/* A page in flight in frame 0: its slot's word names the frame. */

/** publishObjectLocked: at place 0; the frame is another's then. */
export function* publish(): Steps {
  yield* lock(LOCK);
  yield* writeObject(0, OLD);
  yield* store(M.WORD, M.wordOfObject(0));
  yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* use(0);
}

/** publishRawLocked: the bytes stay where they are. Then it is demoted. */
export function* publishRaw(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* store(M.WORD, M.wordOfRaw(0));
  yield* unlock(LOCK);
  yield* demote(variant);
}

/** The slot goes, and the frame stops being what it named: endRescue, mapRawLocked, cancelLocked, dropSlotLocked. */
function* leaveSlot(variant: WriterVariant): Steps {
  if (variant.movesVersion === 'first') yield* add(M.VERSIONS, 1);
  yield* freeSlot(variant);
  if (variant.movesVersion === 'last') yield* add(M.VERSIONS, 1);
}

/** rescueLocked or mapRawLocked: the page is mapped where it is, and its owner writes there. */
export function* bringBack(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* leaveSlot(variant);
  yield* store(M.ENTRY, M.entryOf(0));
  yield* unlock(LOCK);
  yield* store(NEWEST, NEW);
  yield* store(M.bytesOf(0), NEW);
  yield* store(M.bytesOf(0) + 1, NEW);
  yield* store(OLDEST, NEW);
}

/**
 * A page of two regions. This one's entry leaves the slot, which says nothing, for a copy in frame 1; the other, the last that names it, has it back in
 * frame 0 and writes there: rescueForLocked.
 */
export function* bringBackOther(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* store(M.bytesOf(1), OLD);
  yield* store(M.bytesOf(1) + 1, OLD);
  yield* store(M.ENTRY, M.entryOf(1));
  yield* leaveSlot(variant);
  yield* unlock(LOCK);
  yield* use(0);
}

/** Discarded; the frame goes out for another page in the same slot, so that the word is what it was. This page is written again in frame 1. */
export function* reuseFrameAndSlot(variant: WriterVariant, word = M.wordOfFrame(0)): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* leaveSlot(variant);
  yield* use(0);
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* store(M.WORD, word);
  yield* unlock(LOCK);
  yield* store(M.bytesOf(1), NEW);
  yield* store(M.bytesOf(1) + 1, NEW);
  yield* store(M.ENTRY, M.entryOf(1));
  yield* store(OLDEST, NEW);
}

/** moveSharedLocked, moveRawLocked: the frame moves behind the slot. `wordOf` its new frame. */
export function* moveStorageFrame(variant: WriterVariant, wordOf: (frame: number) => number): Steps {
  yield* lock(LOCK);
  yield* store(M.bytesOf(1), yield* load(M.bytesOf(0)));
  yield* store(M.bytesOf(1) + 1, yield* load(M.bytesOf(0) + 1));
  if (variant.movesVersion === 'first') yield* add(M.VERSIONS, 1);
  yield* store(M.WORD, wordOf(1));
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  if (variant.movesVersion === 'last') yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* use(0);
}

/** The demoter, of a raw page: written, then the slot names the file, and the frame is another's. */
export function* demote(variant: WriterVariant): Steps {
  yield* writeFile(0, M.SLOT, OLD);
  yield* lock(LOCK);
  if (variant.movesVersion === 'first') yield* add(M.VERSIONS, 1);
  yield* store(M.WORD, M.wordOfFile(0));
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  if (variant.movesVersion === 'last') yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* use(0);
}

/* A page on file, at granule 0. What a batch writes there later is another's. */

function* writeFile(granule: number, slot: number, content: number): Steps {
  const words = M.fileObject(slot, content);
  for (let i = 0; i < words.length; i++) yield* store(M.fileOf(granule) + i, words[i]);
}

/** The cleaner, or the emptying of a device. */
export function* moveOnFile(variant: WriterVariant): Steps {
  yield* writeFile(1, M.SLOT, OLD);
  yield* lock(LOCK);
  yield* store(M.WORD, M.wordOfFile(1));
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* writeFile(0, M.OTHER_SLOT, OTHER);
}

/** promoteObject: to the pool. */
export function* promote(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* writeObject(0, OLD);
  yield* store(M.WORD, M.wordOfObject(0));
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* writeFile(0, M.OTHER_SLOT, OTHER);
}

/** bringIn to frame 1, the slot kept as clean copy; the writer drops that first. */
export function* bringInAndWrite(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* store(M.bytesOf(1), OLD);
  yield* store(M.bytesOf(1) + 1, OLD);
  yield* store(M.ENTRY, M.entryOf(1));
  yield* unlock(LOCK);
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* freeSlot(variant);
  yield* unlock(LOCK);
  yield* store(M.bytesOf(1), NEW);
  yield* store(M.bytesOf(1) + 1, NEW);
  yield* store(OLDEST, NEW);
}

/** Discarded; `slot`'s page, which may be another that got this slot, is demoted to the same granule. This page is written again in frame 1. */
export function* reuseGranule(variant: WriterVariant, slot: number): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* freeSlot(variant);
  yield* unlock(LOCK);
  yield* store(M.bytesOf(1), NEW);
  yield* store(M.bytesOf(1) + 1, NEW);
  yield* store(M.ENTRY, M.entryOf(1));
  yield* store(OLDEST, NEW);
  if (slot === M.SLOT && variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* writeFile(0, slot, OTHER);
  if (slot === M.SLOT) yield* store(M.WORD, M.wordOfFile(0));
}

/** Discarded and written anew: the same slot, the same granule. */
export function* discardAndRewriteOnFile(variant: WriterVariant): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* freeSlot(variant);
  yield* unlock(LOCK);
  yield* lock(LOCK);
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* writeFile(0, M.SLOT, NEW);
  yield* store(M.WORD, M.wordOfFile(0));
  yield* store(M.ENTRY, M.SWAPPED);
  yield* store(OLDEST, NEW);
}

/** The leaf of the stored page becomes another region's, whose entry names the same slot: it is that region's by then. */
export function* freeLeafAndSlot(variant: WriterVariant): Steps {
  const was = yield* load(M.WORD);
  yield* store(M.GENERATION, 1);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* leaveSlot(variant);
  yield* use(0);
  yield* writeFile(0, M.SLOT, OTHER);
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* store(M.WORD, was);
  yield* store(M.ENTRY, M.SWAPPED);
  yield* unlock(LOCK);
}

/** Regions are closed and the instance with them: what its memory holds then is nobody's. */
export function* closeInstance(): Steps {
  yield* store(M.STATE, 1);
}
