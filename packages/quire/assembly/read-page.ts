import { copy } from './copy';
import { copyParts } from './file-parts';
import { decompressPartial } from './lz4-decompress';

/**
 * The usual reads of a region's page, whole, in one call (src/vm/page-read.ts): of a page in its frame, of one that is swapped
 * and in a frame, and of one that is an LZ4 object of its own; of one on file in two, with the device read in between.
 * Everything else is READ_OTHERWISE, with nothing changed but perhaps a frame's touch mark, which is a hint, and left to the
 * general way (RegionSpace.openRead), whose protocol this is, load by load:
 *
 *   any           state · generation · one of the below · generation again
 *   in a frame    entry · frame version · entry again · bytes · version again
 *   swapped       entry · slot's sequence · entry again · slot's word · …
 *   … a frame     version · word again · sequence again · bytes · version again
 *   … an object   object · sequence again
 *   … on file     READ_ON_FILE; the caller reads the device · readParts: check · bytes · sequence again
 *
 * State and generation are words of node 0. In an instance of several nodes the caller looks at them, before and after.
 *
 * In one call for the sake of the cache. In a gigabyte of data each of these loads misses it, and while they stood in as many
 * functions of JS the processor waited for one after the other: half the time of a read. Here those that do not need each
 * other are close enough for it to have them under way together, so what is needed late (shadow, mark) is loaded early.
 *
 * Whatever is found is a guess until the closing load: every place is checked against the memory's end before it is used.
 */
const READ_OTHERWISE: i32 = 0;
const READ_RESIDENT: i32 = 1;
const READ_TRANSIENT: i32 = 2;
const READ_ON_FILE: i32 = 3;

const PAGE_SHIFT: u32 = 12;
const PAGE_BYTES: u32 = 4096;
/** A longer piece of a resident page is copied to its reader once, not twice. */
const RESIDENT_MAX: u32 = 2048;

/* Entries (src/arena/pte.ts). */
const PRESENT: u32 = 1;
const SWAPPED: u32 = 2;

/* Slots and their words (src/swap/swap-table.ts, src/swap/slot-word.ts). */
const SLOT_FRAME: u32 = 1;
const SLOT_OBJECT: u32 = 3;
const SLOT_RAW: u32 = 4;
const SLOT_FILE: u32 = 5;
/** All of a slot's word but CACHED. */
const SLOT_MASK: u32 = 0x7fff_ffff;
const CLUSTER_SHIFT: u32 = 9;
const CHUNK_SHIFT: u32 = 16;
const CHUNK_CLUSTERS: u32 = 128;
const DESCRIPTOR_SHIFT: u32 = 5;

/* Objects (src/swap/zs-pool.ts). */
const OBJECT_HEADER: u32 = 8;
const UNIT_OR_ZSTD: u32 = 3 << 29;
const LENGTH_MASK: u32 = 0x7fff;

/* Shadow bytes (src/reclaim/working-set.ts). */
const SHADOW_CLOSE: u32 = 0x80;
const SHADOW_BUCKET: u32 = 0x7f;

/** What is the same for all reads of a thread: words of its area, written by `writeReadBlock` (src/vm/page-read.ts). */
@unmanaged
class ReadBlock {
  frames: u32;
  versions: usize;
  touches: usize;
  links: usize;
  sequences: usize;
  sequenceMask: u32;
  /** 0: there are no slots (direct mode). */
  roots: usize;
  shadows: usize;
  shadowMask: u32;
  age: usize;
  gather: usize;
  target: usize;
  /** A touch within so many buckets of the last is close; the second such in a row is not read in passing. */
  promoteBuckets: u32;
  /** Loads are not reordered with loads. */
  isOrdered: u32;
  /** Node 0: 0 while the instance is open. */
  state: usize;
  crcTable: usize;
  /* What a READ_ON_FILE was about. */
  slot: u32;
  sequence: u32;
  granule: u32;
  shadow: u32;
}

/**
 * Leaves bytes `from` to `end` of the page that the entry at `entryAt` names at their place in the page at the block's
 * `target`. `bucket`: the age, in buckets. The entry's leaf was found under `generation`, which is at `generationAt`; 0: the
 * caller looks at it. Says how.
 */
export function readPage(
  block: ReadBlock,
  generationAt: usize,
  generation: u32,
  entryAt: usize,
  from: u32,
  end: u32,
  bucket: u32,
): i32 {
  if (generationAt != 0 && atomic.load<u32>(block.state) != 0) return READ_OTHERWISE;
  if (!isCurrent(generationAt, generation)) return READ_OTHERWISE;
  const entry = atomic.load<u32>(entryAt);
  if ((entry & 3) == PRESENT) return readResident(block, generationAt, generation, entryAt, entry, from, end);
  if (i32((entry & 3) != SWAPPED) | i32(block.roots == 0)) return READ_OTHERWISE;
  return readSwapped(block, generationAt, generation, entryAt, entry, from, end, bucket);
}

/**
 * After READ_ON_FILE, with the same bytes: the page's object was read to `object` as far as the parts go that have them
 * (file-parts.ts). Copies them to `target` and returns 1 when they are undamaged and still the page's, else 0.
 */
export function readParts(
  block: ReadBlock,
  generationAt: usize,
  generation: u32,
  object: usize,
  from: u32,
  end: u32,
  target: usize,
): i32 {
  if (!copyParts(block.slot, object, from, end, target, block.crcTable, block.target)) return 0;
  const sequenceAt = addressOfSequence(block, block.slot);
  return i32(closing(block, sequenceAt) == block.sequence) & i32(isCurrent(generationAt, generation));
}

/** After a closing load: the leaf of the entry was alive all the while. */
@inline
function isCurrent(generationAt: usize, generation: u32): bool {
  return generationAt == 0 || atomic.load<u32>(generationAt) == generation;
}

@inline
function addressOfSequence(block: ReadBlock, slot: u32): usize {
  return block.sequences + (((slot ^ (slot >>> 12)) & block.sequenceMask) << 2);
}

@inline
function readResident(
  block: ReadBlock,
  generationAt: usize,
  generation: u32,
  entryAt: usize,
  entry: u32,
  from: u32,
  end: u32,
): i32 {
  const pfn = entry >>> 2;
  if (pfn >= block.frames || end - from > RESIDENT_MAX) return READ_OTHERWISE;
  const version = atomic.load<u32>(block.versions + (pfn << 2));
  if (atomic.load<u32>(entryAt) != entry) return READ_OTHERWISE;
  return copyFrame(block, generationAt, generation, pfn, version, from, end);
}

/** Of a frame that was the page's when it had this version. */
@inline
function copyFrame(
  block: ReadBlock,
  generationAt: usize,
  generation: u32,
  pfn: u32,
  version: u32,
  from: u32,
  end: u32,
): i32 {
  const touchAt = block.touches + (pfn << 2);
  copy(block.target + from, (<usize>pfn << PAGE_SHIFT) + from, end - from);
  if (load<u32>(touchAt) == 0) store<u32>(touchAt, 1);
  if (closing(block, block.versions + (pfn << 2)) != version) return READ_OTHERWISE;
  return isCurrent(generationAt, generation) ? READ_RESIDENT : READ_OTHERWISE;
}

@inline
function readSwapped(
  block: ReadBlock,
  generationAt: usize,
  generation: u32,
  entryAt: usize,
  entry: u32,
  from: u32,
  end: u32,
  bucket: u32,
): i32 {
  const slot = entry >>> 2;
  const sequenceAt = addressOfSequence(block, slot);
  const shadowAt = block.shadows + (slot & block.shadowMask);
  const sequence = atomic.load<u32>(sequenceAt);
  const shadow: u32 = load<u8>(shadowAt);
  if (atomic.load<u32>(entryAt) != entry) return READ_OTHERWISE;
  const word = slotWord(block, slot) & SLOT_MASK;
  const tag = word & 7;
  if (tag == SLOT_OBJECT) {
    return readObject(block, generationAt, generation, shadowAt, shadow, sequenceAt, sequence, word >>> 3, end, bucket);
  }
  if (tag == SLOT_FILE) {
    block.slot = slot;
    block.sequence = sequence;
    block.granule = word >>> 3;
    block.shadow = shadow;
    return READ_ON_FILE;
  }
  if (i32(tag != SLOT_RAW) & i32(tag != SLOT_FRAME)) return READ_OTHERWISE;
  return readStorageFrame(block, generationAt, generation, slot, sequenceAt, sequence, word, from, end);
}

/** The version is of the time when the slot was still this page's; from there on it alone vouches for the frame. */
@inline
function readStorageFrame(
  block: ReadBlock,
  generationAt: usize,
  generation: u32,
  slot: u32,
  sequenceAt: usize,
  sequence: u32,
  word: u32,
  from: u32,
  end: u32,
): i32 {
  const pfn = word >>> 3;
  if (pfn >= block.frames || end - from > RESIDENT_MAX) return READ_OTHERWISE;
  const version = atomic.load<u32>(block.versions + (pfn << 2));
  if ((slotWord(block, slot) & SLOT_MASK) != word || atomic.load<u32>(sequenceAt) != sequence) return READ_OTHERWISE;
  return copyFrame(block, generationAt, generation, pfn, version, from, end);
}

@inline
function readObject(
  block: ReadBlock,
  generationAt: usize,
  generation: u32,
  shadowAt: usize,
  shadow: u32,
  sequenceAt: usize,
  sequence: u32,
  location: u32,
  end: u32,
  bucket: u32,
): i32 {
  const pfn = location >>> 8;
  if (i32(pfn == 0) | i32(pfn >= block.frames)) return READ_OTHERWISE;
  const start = ((location & 0xff) << 4) + OBJECT_HEADER;
  const object = (<usize>pfn << PAGE_SHIFT) + start;
  const touchAt = block.touches + (pfn << 2);
  const header = load<u32>(object - 4);
  const touch = load<u32>(touchAt);
  const length = header & LENGTH_MASK;
  if (i32((header & UNIT_OR_ZSTD) != 0) | i32(length - 1 >= PAGE_BYTES)) return READ_OTHERWISE;
  const isClose = i32(shadow != 0) & i32(((bucket - shadow) & SHADOW_BUCKET) < block.promoteBuckets);
  if (isClose & i32(shadow >= SHADOW_CLOSE)) return READ_OTHERWISE;

  let source = object;
  const first = PAGE_BYTES - start;
  if (length > first) {
    const next = load<u32>(block.links + (pfn << 2));
    if (next == 0 || next >= block.frames) return READ_OTHERWISE;
    source = block.gather;
    copy(source, object, first);
    copy(source + first, <usize>next << PAGE_SHIFT, length - first);
  }
  const got = decompressPartial(source, length, block.target, end, PAGE_BYTES);
  if (got < <i32>end || closing(block, sequenceAt) != sequence) return READ_OTHERWISE;
  if (!isCurrent(generationAt, generation)) return READ_OTHERWISE;
  store<u8>(shadowAt, isClose ? bucket | SHADOW_CLOSE : bucket);
  store<u32>(block.age, load<u32>(block.age) + 1);
  if (touch == 0) store<u32>(touchAt, 1);
  return READ_TRANSIENT;
}

/** 0 when there is no such slot. */
@inline
function slotWord(block: ReadBlock, slot: u32): u32 {
  const chunk = load<u32>(block.roots + ((slot >>> CHUNK_SHIFT) << 2));
  if (chunk >= block.frames) return 0;
  const cluster = (slot >>> CLUSTER_SHIFT) & (CHUNK_CLUSTERS - 1);
  const table = load<u32>((<usize>chunk << PAGE_SHIFT) + (cluster << DESCRIPTOR_SHIFT));
  // What is no table may begin just before the memory's end.
  const at = table + (slot & ((1 << CLUSTER_SHIFT) - 1));
  if (i32(chunk == 0) | i32(table == 0) | i32(at >>> (PAGE_SHIFT - 2) >= block.frames)) return 0;
  return atomic.load<u32>(<usize>at << 2);
}

/** The load that must not pass the reads before it (src/arena/fence.ts). */
@inline
function closing(block: ReadBlock, at: usize): u32 {
  return block.isOrdered ? atomic.load<u32>(at) : atomic.or<u32>(at, 0);
}
