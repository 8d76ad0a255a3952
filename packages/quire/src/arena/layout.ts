/**
 * Every offset and size of a node, in one place (docs/memory-layout.md shows the picture). A node is one shared
 * WebAssembly.Memory:
 *
 *   header | locks | counters | thread slots | region slots | sequence words | cluster roots | size-class heads | ring | crc table
 *   frame table (eight parallel arrays, one word per frame each) | pageblock types | shadows | page frames ...
 *
 * Offsets named `...At` are word indices into the node's Int32Array. Another thread attaches from the header alone:
 * it checks magic, version and geometry and derives every offset below from the number of frames.
 */
import { assert } from '../base/assert.ts';
import { GIB, MIB, PAGE_BYTES, PAGE_WORDS, UNIT_BYTES } from '../base/units.ts';

export const MAGIC = 0x51_55_49_52; // 'QUIR'
export const LAYOUT_VERSION = 1;

/** Largest node: a WebAssembly memory addresses 4 GiB; one page less keeps every end address inside 32 bits. */
export const NODE_BYTES_MAX = 4 * GIB - MIB;
/** Smallest node that still holds the static tables, a few thread areas and a useful number of frames. */
export const NODE_BYTES_MIN = 2 * MIB;
export const NODES_MAX = 64;
/** main + daemons + attached workers */
export const THREADS_MAX = 64;
export const REGIONS_MAX = 512;
export const GROUPS_MAX = 64;
/** 2^28 slots of 4 KiB: 1 TiB of swapped data a node. */
export const SLOTS_MAX = 2 ** 28;
export const CLUSTER_SLOTS = 512;
/** A descriptor is 8 words; 128 of them fill one frame. */
export const CLUSTER_DESCRIPTOR_WORDS = 8;
export const CLUSTER_CHUNK = PAGE_WORDS / CLUSTER_DESCRIPTOR_WORDS;
export const CLUSTER_ROOTS = SLOTS_MAX / CLUSTER_SLOTS / CLUSTER_CHUNK;
/** Sequence words shared by slots through a hash: wide enough that two slots in use at once rarely share one. */
export const SEQUENCE_WORDS = 4096;
export const ZS_CLASSES_MAX = 128;
/** Upper bound of the ring; the number in use is sized from the budget (1 %). */
export const RING_ENTRIES_MAX = 4096;
/** Segments of the file tier are numbered in chunks of 1,024; a chunk belongs to one device. 2^18 segments a node. */
export const FILE_CHUNKS = 256;
/** File tiers at one time. */
export const DEVICES_MAX = 8;

export const STATE_OPEN = 0;
export const STATE_FAILED = 1;
export const STATE_CLOSED = 2;

export const MIGRATE_UNMOVABLE = 0;
export const MIGRATE_MOVABLE = 1;
export const MIGRATE_TYPES = 2;
/** Pageblock word: migrate type, and the lowest order for which compaction found nothing to do in it (0 none). */
export const BLOCK_TYPE_MASK = 0xf;
export const BLOCK_SKIP_SHIFT = 4;

let cursor = 0;
function words(count: number): number {
  const at = cursor;
  cursor += count;
  return at;
}
/**
 * Locks and hot words get a cache line of their own (64 bytes = 16 words), so that spinning on one does not slow the
 * other.
 */
function line(count = 16): number {
  cursor = (cursor + 15) & ~15;
  return words(count);
}

/* Header: written once by the creator, then read-only but for the latch. */
export const H_MAGIC = words(1);
export const H_VERSION = words(1);
export const H_FRAMES = words(1);
export const H_NODE = words(1);
export const H_NODES = words(1);
export const H_FIRST_FREE = words(1);
export const H_WMARK_MIN = words(1);
export const H_WMARK_LOW = words(1);
export const H_WMARK_HIGH = words(1);
export const H_RING_ENTRIES = words(1);
export const H_POOL_FRAMES_MAX = words(1);
export const H_FILE_SEGMENTS = words(1);
/**
 * STATE_OPEN, STATE_FAILED once an assertion failed anywhere, STATE_CLOSED once the owner closed. Only ever goes up
 * from 0.
 */
export const H_STATE = words(1);
/** kcompressd threads that drain the ring, beside kswapd; 0 = whoever reclaims compresses. */
export const H_KCOMPRESSD = words(1);
/** Slots that may exist at all (`swap: []` makes it 0). */
export const H_SLOTS_MAX = words(1);
export const H_WMARK_COPY = words(1);
/** Who compacts when a large block is wanted: a code of compaction/policy.ts. */
export const H_COMPACTION = words(1);
/** 1: page-table entries say themselves where a swapped page is (swap/direct-entry.ts). */
export const H_DIRECT = words(1);
/** Which page is given up: a code of reclaim/policy.ts. */
export const H_RECLAIM_POLICY = words(1);
/** kswapd threads, 0 or 1; 0 = daemons get their steps inline. */
export const H_KSWAPDS = words(1);
/** zstd level of what goes into the pool, 0 = LZ4; and of what goes to the file, 0 = as it is. */
export const H_POOL_ZSTD = words(1);
export const H_FILE_ZSTD = words(1);
/** What becomes of incompressible pages: a code of swap/incompressible.ts. */
export const H_INCOMPRESSIBLE = words(1);

/* Words that change, grouped by who writes them. */
export const H_LOCK = line();
export const H_KSWAPD_WAKE = line();
/** Node 0: event count that kcompressd threads sleep on, and how many sleep. */
export const H_KCOMPRESSD_EVENTS = line();
export const H_KCOMPRESSD_SLEEPERS = words(1);
/** Node 0: event count that kswapd sleeps on, how many sleep, and the word that ends them. */
export const H_EVENTS = line();
export const H_SLEEPERS = words(1);
export const H_STOP = words(1);
/** Under the node lock from here on. */
export const H_FREE_FRAMES = line();
/** Bitmap of the groups that have pages on LRU lists; whose turn it is, and how many pages that is good for (reclaim/group-turn.ts). */
export const H_LRU_GROUPS = words(2);
export const H_RECLAIM_GROUP = words(1);
export const H_RECLAIM_CREDIT = words(1);
export const H_LRU_SIZES = words(2); // inactive, active: of all lists of the node
export const H_AGE = words(1); // nonresident age: evictions and transient touches
export const H_INFLIGHT = words(1);
export const H_ZS_FRAMES = words(1);
export const H_ZS_OBJECTS = words(1);
export const H_ZS_BYTES = words(2); // 64-bit: low, high
export const H_RAW_FRAMES = words(1);
export const H_SAME_SLOTS = words(1);
export const H_FILE_SLOTS = words(1);
export const H_SLOTS_USED = words(1);
export const H_CLUSTER_FREE = words(1);
export const H_CLUSTERS_USED = words(1);
export const H_TABLE_FRAMES = words(1);
export const H_SLAB_PARTIAL = words(2);
export const H_DEMOTE_HAND = words(1);
export const H_DEMOTE_BUSY = words(1);
export const H_RING_HEAD = words(1);
export const H_RING_TAIL = words(1);
export const H_CLEAN_COPIES = words(1);
export const H_REGION_PAGES = words(1);
/** First granule + 1 of the batch that the demoter or cleaner is writing, 0 when none. */
export const H_FILE_BATCH = words(1);
/** Group of which a page was last looked at for a copy ahead of need. */
export const H_COPY_GROUP = words(1);
/** Page cache: cached pages; of these dirty (changed without the lock, atomically), and under writeback. */
export const H_PC_PAGES = words(1);
export const H_PC_DIRTY = words(1);
export const H_PC_WRITEBACK = words(1);
/** Frames that kswapd keeps free beyond its marks, for kcompactd to work with. */
export const H_WMARK_BOOST = words(1);
/** Compaction: where its scanner stands (a frame, 0: at the bottom), and how long it is put off after failing. */
export const H_COMPACT_MIGRATE = words(1);
export const H_COMPACT_CONSIDERED = words(1);
export const H_COMPACT_SHIFT = words(1);
export const H_COMPACT_FAILED = words(1); // lowest order that is put off, 0 none
export const H_COMPACT_FLUSH = words(1); // 1: the scanner has been everywhere, skip marks are to be taken back
export const H_KCOMPACTD_ORDER = words(1); // largest order asked of kcompactd since it last looked
/** Stock of free blocks, by order: folios asked for and not had (decaying, 1/256), blocks to be kept; requests since the last decay. */
export const H_STOCK_ASKED = words(10);
export const H_STOCK_MISSED = words(10);
export const H_STOCK_TARGET = words(10);
export const H_STOCK_REQUESTS = words(1);
/** Slots that are never handed out; slot tables there are; first full cluster + 1; where the reclaim of clean copies stands, a frame. */
export const H_SLOTS_BAD = words(1);
export const H_SLOT_TABLES = words(1);
export const H_CLUSTER_FULL = words(1);
export const H_CACHED_HAND = words(1);
/** Device of the file tier that the next batch tries first, among those of one priority. */
export const H_FILE_TURN = words(1);
/** Node 0: devices that were ever added; whether the compressed tier is on, being emptied or off (swap/tiers.ts). */
export const H_DEVICES_ADDED = words(1);
export const H_POOL_STATE = words(1);
/** Node 0: since the trimmer last looked a segment came free, or has half of its objects left. */
export const H_TRIM_WANTED = words(1);
/** How far emptying the pool is on this node: a DRAIN_ code and the drain's serial (swap/pool-drain.ts). */
export const H_POOL_DRAIN = words(1);
/** References to slots beyond the first of each: pages of clones that share what is behind a slot. */
export const H_SLOT_DUPS = words(1);
/** Most pages that were ever in flight at once. */
export const H_INFLIGHT_PEAK = words(1);
/** Incompressible pages that were made active since a page was last compressed. */
export const H_INCOMPRESSIBLE_RUN = words(1);
/** Leaves that wait to be freed (swap/detached-leaves.ts): how many may, 0: none is put off; how many do; place of the oldest in the ring. */
export const H_DETACH_MAX = words(1);
export const H_DETACHED = words(1);
export const H_DETACHED_HEAD = words(1);
/** Pages of the oldest that were passed, and those of them that had to stay. */
export const H_DETACHED_PAGE = words(1);
export const H_DETACHED_LEFT = words(1);
/** New pages that memory has grown by, less the copies made ahead since; bounded. */
export const H_COPY_CREDIT = words(1);
/** Pins of callers given back, limits changed: a count that wraps, of what may let pages go and shows in no other figure. */
export const H_EASES = words(1);
/** Raw pages in the order in which they left memory (swap/raw-list.ts): frames, 0 none. */
export const H_RAW_OLDEST = words(1);
export const H_RAW_YOUNGEST = words(1);
/** Wake words of flusher and kcompactd, as H_KSWAPD_WAKE. Node 0 only: how many threads run the daemon, 0 = nobody. */
export const H_FLUSHER_WAKE = line();
export const H_FLUSHERS = words(1);
/** Dirty pages of this node above which writers help and from which on the flusher works; 0, 0: nobody has set them. */
export const H_DIRTY_LIMIT = words(1);
export const H_DIRTY_BACKGROUND = words(1);
/** Node 0: age from which on dirty pages are written back, and how often the flusher looks, in milliseconds. */
export const H_DIRTY_EXPIRE_MS = words(1);
export const H_DIRTY_WRITEBACK_MS = words(1);
/** Reclaim met dirty pages of this node: the flusher writes a batch of them back, whatever the limits say. */
export const H_FLUSH_WANTED = words(1);
export const H_KCOMPACTD_WAKE = line();
export const H_KCOMPACTDS = words(1);
/** Node 0: what kcompactd sleeps on, as H_EVENTS and H_SLEEPERS: it is woken often, the other daemons need not be. */
export const H_KCOMPACTD_EVENTS = words(1);
export const H_KCOMPACTD_SLEEPERS = words(1);

/**
 * Node 0: pressure (reclaim/pressure.ts). The spin lock of these words, threads of the program, how many of them are stalled;
 * then doubles, in words: PSI_DOUBLES of them.
 */
export const H_PSI_LOCK = line();
export const H_PSI_THREADS = words(1);
export const H_PSI_STALLED = words(1);
export const PSI_DOUBLES = 12;
export const H_PSI_TIMES = line(PSI_DOUBLES * 2);

export const BUDDY_AT = line(MIGRATE_TYPES * 10 * 2); // [type][order] → head, count
export const THREAD_WORDS = 32;
export const THREADS_AT = line(THREADS_MAX * THREAD_WORDS);
export const REGION_WORDS = 64;
export const REGIONS_AT = line(REGIONS_MAX * REGION_WORDS);
export const GROUP_WORDS = 32;
/** Node 0: the groups that regions are accounted under. */
export const GROUPS_AT = line(GROUPS_MAX * GROUP_WORDS);
/** A block of LRU lists for each group (reclaim/lru.ts); two of them are a cache line. */
export const LRU_BLOCK_WORDS = 8;
export const LRU_BLOCKS_AT = line(GROUPS_MAX * LRU_BLOCK_WORDS);
/** Ring of detached leaves: word index and group of each. */
export const DETACHED_MAX = 1024;
export const DETACHED_AT = line(DETACHED_MAX * 2);
export const SEQUENCES_AT = line(SEQUENCE_WORDS);
export const CLUSTER_ROOTS_AT = line(CLUSTER_ROOTS);
/** Heads of the cluster lists: [nobody's, group 0 … 63, mixed][partial, fragmented][order]. */
export const CLUSTER_LIST_WORDS = 20;
export const CLUSTER_LISTS_AT = line((GROUPS_MAX + 2) * CLUSTER_LIST_WORDS);
export const ZS_HEADS_AT = line(ZS_CLASSES_MAX * 4);
export const RING_AT = line(RING_ENTRIES_MAX);
/** By chunk of segments: frame of their words, 0 none; owner (swap/file-devices.ts), 0 nobody; segments free. */
export const FILE_SEGMENT_ROOTS_AT = line(FILE_CHUNKS);
export const FILE_CHUNK_OWNERS_AT = line(FILE_CHUNKS);
export const FILE_CHUNK_FREE_AT = line(FILE_CHUNKS);
export const DEVICE_WORDS = 32;
export const DEVICES_AT = line(DEVICES_MAX * DEVICE_WORDS);
/** Tables of crc32c: eight of 256 words. */
export const CRC_TABLE_AT = line(8 * 256);
export const STATIC_WORDS = (line(0) + PAGE_WORDS - 1) & ~(PAGE_WORDS - 1);

/* Thread slot, words from its base. */
export const T_OWNER = 0; // 0 free, else thread id (1…)
export const T_AREA = 1; // pfn of its area
export const T_CACHE_HEAD = 2; // order-0 frame cache, linked through frame.next
export const T_CACHE_COUNT = 3;
export const T_CLUSTER = 4; // + order: current cluster + 1
/* Node 0 only: for those who look after threads that ended without leaving (daemons/reaper.ts). */
/** The system's number of the thread, 0 when it does not tell, below 0: found dead, its burial is somebody's. */
export const T_TASK = 14;
export const T_START = 15; // when the thread began, low 32 bits, since numbers are used again
export const T_STALL = 16; // what the pressure words count it as: a STALL_ code of reclaim/pressure.ts
export const T_WORKER = 17; // Node's threadId + 1: names the holder of a map's lock
export const T_DEVICES = 18; // + device: its share of V_USERS
export const T_PROCESS = T_DEVICES + DEVICES_MAX; // in which T_TASK and T_START mean something
export const T_DETACHING = T_PROCESS + 1; // 1: it detaches leaves, or frees what waits; kswapd leaves both to it

/* Thread area: one order-5 block. Byte offsets from its start. */
export const AREA_ORDER = 5;
export const AREA_LZ4_TABLE = 0;
/** Pages that transient reads decompress into, used in turn: as many reads may be open at once. */
export const AREA_SCRATCH = 16 * 1024;
export const SCRATCH_PAGES = 8;
/**
 * An object that straddles frames, made contiguous: up to 12 KiB. Also the pages of a unit that is being compressed, all
 * 16 KiB up to AREA_STAGING: nothing is read in meanwhile.
 */
export const AREA_GATHER = 48 * 1024;
/** One object of the file tier as it was read. */
export const AREA_IO = 56 * 1024;
/**
 * Compressed pages of one batch; pieces of a segment being cleaned. Its first 16 KiB also keep the unit that this thread
 * decoded last (Node.decoded).
 */
export const AREA_STAGING = 64 * 1024;
export const AREA_STAGING_BYTES = 60 * 1024;
/** Float64 counters, written by the owner alone. */
export const AREA_COUNTERS = 124 * 1024;
/** What the kernel `readPage` knows of the node: one word a field of `ReadBlock` (assembly/read-page.ts). */
export const AREA_READ_BLOCK = AREA_COUNTERS + 1024;
/** The last of them are what the kernel found (vm/page-read.ts). */
export const READ_BLOCK_WORDS = 20;
/** What the thread has pinned (arena/pin-note.ts): frames, at places by their numbers, and runs of frames (first, count). */
export const AREA_PINS = AREA_COUNTERS + 2048;
export const PIN_NOTES = 256;
export const AREA_RUNS = AREA_PINS + PIN_NOTES * 4;
export const PIN_RUNS = 64;
/** Node 0: a byte for each region, how often the thread has it open; USES_MANY: that often or more. */
export const AREA_USES = AREA_RUNS + PIN_RUNS * 8;
export const USES_MANY = 255;

/* Region slot, words from its base. Roots: 16 directories of 1024 tables of 1024 leaves: 2^24 chunks of 2 MiB = 2^45 bytes. */
export const R_STATE = 0; // 0 free, 1 in use
export const R_GENERATION = 1; // moves when a leaf table is freed or the region closes
export const R_CHUNKS_LOW = 2; // size in chunks (≤ 2^24)
/** What the address space is: REGION_MEMORY (absent pages are zeros), REGION_FILE (absent pages are in the file). */
export const R_KIND = 3;
export const REGION_MEMORY = 0;
export const REGION_FILE = 1;
export const R_CONTROL = 4; // pfn of the control frame of a map or of a file's inode
export const R_REFS = 5;
/** Node 0: how the region is read, a hint of vm/access.ts. */
export const R_ACCESS = 6;
/** Pages of the region this node holds, in whatever tier. */
export const R_PAGES = 7;
/** A length byte and up to 127 bytes of UTF-8. */
export const R_NAME = 8; // 32 words
export const R_NAME_BYTES_MAX = 127;
/** Node 0: the group that its pages are charged to. */
export const R_GROUP = 40;
/** Two nameless regions that go with this one, a map's: numbers + 1, 0 none. */
export const R_PARTS = 41;
export const R_ROOTS = 48; // 16 words
export const ROOTS = 16;

/*
 * Device of the file tier, words from its base (swap/file-devices.ts). Those up to V_NODE are the instance's and good in
 * node 0 only; the others are each node's own, under its lock.
 */
export const V_STATE = 0;
export const V_FD = 1; // descriptor + 1, 0 none
export const V_PRIORITY = 2;
export const V_SEGMENTS = 3; // of each node
/** Threads between taking the descriptor and the end of their system call. */
export const V_USERS = 4;
export const V_LOST = 5; // pages lost in draining it
export const V_SERIAL = 6; // of all that were ever added, from 1: part of its name
export const V_DRAINS = 7; // times that draining it began
export const V_ROWS = 8; // segments of each node that the file reaches to
export const V_CUTTER = 9; // thread that is cutting the file off, 0 none (swap/file-trimmer.ts)
/** Requests that it refused, and the errno of the last write when that was one (swap/device-errors.ts). */
export const V_READ_ERRORS = 10;
export const V_WRITE_ERRORS = 11;
export const V_ERRNO = 12;
export const V_NODE = 16;
export const V_OPEN_SEGMENT = 16; // its number + 1, 0 none
export const V_OPEN_GRANULE = 17; // granules of it that are reserved
export const V_FREE = 18; // segments that can be opened
export const V_LIVE = 19; // objects in use
export const V_WRITTEN = 20; // objects in its segments, in use or not
/** Batches for which the device is passed over after a failed write, as long as another one takes them. */
export const V_HOLD = 21;
export const V_LIMIT = 23; // segments from this one on (+ 1) may not be opened: the file is being cut off there; 0 none
export const V_DRAIN = 22; // how far draining is on this node: a DRAIN_ code (swap/drainer.ts)
export const V_BAD = 24; // segments that take no more since a write to them failed (swap/bad-segments.ts)
export const V_STREAK = 25; // writes that failed since the last that went well
export const V_SUSPECTS = 26; // their segments + 1, as long as they are no more than SUSPECTS_MAX
export const SUSPECTS_MAX = 4;

/* Group slot, words from its base (reclaim/group.ts). Group 0 is 'default'. */
export const G_USES = 0; // regions open under its name, and holders; 0 free
export const G_SWAP_PAGES = 1; // swap slots of the group's pages, of all nodes
export const G_SWAP_LIMIT_PAGES = 2; // + 1, 0 none
export const G_PAGES = 3; // frames charged to it, of all nodes
export const G_LIMIT_PAGES = 4; // + 1, 0 none
export const G_PEAK_PAGES = 5; // most that G_PAGES ever was
/** Events (memory.events): a charge refused and pages of its own reclaimed for it; given up; a slot refused. */
export const G_REFUSED = 6;
export const G_FAILED = 7;
export const G_SWAP_REFUSED = 8;
/** A length byte and up to 31 bytes of UTF-8. */
export const G_NAME = 16; // 8 words
export const GROUP_NAME_BYTES_MAX = 31;

/* Block of LRU lists, words from its base. Under the node lock. */
export const LB_ENDS = 0; // inactive head, tail; active head, tail
export const LB_SIZES = 4; // inactive, active
/** Frame that was last looked at for a copy ahead of need, 0 none: it is on the inactive list. */
export const LB_COPY_CURSOR = 6;
/** Pages of the group in flight. */
export const LB_INFLIGHT = 7;

/*
 * Leaf of a file (R_KIND = REGION_FILE): one whole frame for a chunk of 512 pages = 512 blocks. Words from its base; the
 * state of a block is kept by its place in the file, so folios are split, moved and merged without touching it. One
 * word covers 32 blocks.
 */
export const FL_ENTRIES = 0; // 512 page-table entries
export const FL_UPTODATE = 512; // 16 words: the block's bytes in memory are good
export const FL_DIRTY = 528; // 16 words: and newer than the file's
export const FL_WRITEBACK = 544; // 16 words: being written, under the writeback lock
export const FL_REGION = 560;
export const FL_CHUNK = 561; // the node's own number of the chunk
export const FL_PRESENT = 562; // entries that are not PTE_NONE
/** On the inode's ring of dirty leaves of this node: LISTED 1, the leaf listed next (word index). Under the node lock. */
export const FL_LISTED = 563;
export const FL_NEXT_DIRTY = 564;
/** When the leaf was listed: milliseconds, modulo 2^31. */
export const FL_DIRTIED_MS = 565;
/** I_LIST_SERIAL when it was listed. */
export const FL_LIST_SERIAL = 566;

/* Inode of an open file: words from its control frame, in node 0. */
export const I_LOCK = 0; // inode lock: writers, truncate (i_rwsem); 16 words apart from what readers load
export const I_WB_LOCK = 16; // writeback lock: thread id of the one that writes the file back
export const I_SIZE_SEQ = 32; // odd while the size changes
export const I_SIZE_LOW = 33;
export const I_SIZE_HIGH = 34;
/** Moves when bytes in the file changed, or pages were cut off: what was read before may not be published any more. */
export const I_CONTENT_SEQ = 35;
export const I_ERRSEQ = 36; // errseq_t: errno (12 bits) | seen (1) | count (19)
export const I_READ_FD = 37; // descriptor + 1
export const I_WRITE_FD = 38; // descriptor + 1, 0 while no handle may write
export const I_SYNC_WANTED = 39; // tickets of `sync`, and the last one served
export const I_SYNC_DONE = 40;
export const I_DIRTY_PAGES = 41; // of all nodes
export const I_MTIME_LOW = 42; // of the file as it was last seen on disk: nanoseconds, 64 bits
export const I_MTIME_HIGH = 43;
export const I_RETRY_MS = 44; // after an error: background writeback leaves the file alone until then, 0 none
export const I_LIST_SERIAL = 45; // counts leaves being listed as dirty: what a `sync` must wait for has at most its number
/** The sync under way: the ticket it will have served, and the last list serial it covers. Under the writeback lock. */
export const I_SYNC_TICKET = 46;
export const I_SYNC_SERIAL = 47;
/** What the holder of the writeback lock is writing: node, leaf (0 none), which of its pages. For who buries it. */
export const I_BATCH_NODE = 48;
export const I_BATCH_LEAF = 49;
export const I_BATCH_PAGES = 50; // 16 words
/** Newest dirty leaf of each node; its next is the oldest. */
export const I_DIRTY_LEAVES = 128;

/** Frame table: arrays in this order, one word per frame each. */
export const FRAME_ARRAYS = 8;

export interface NodeGeometry {
  readonly bytes: number;
  readonly frames: number;
  readonly frameTableAt: number;
  readonly blocksAt: number;
  /** Shadow bytes: `shadows` of them, a power of two, from this byte of the node. */
  readonly shadowsByte: number;
  readonly shadows: number;
  /** First frame that belongs to the page allocator. */
  readonly firstFree: number;
}

/** All offsets that depend on the size. `bytes` is a multiple of 64 KiB, the WebAssembly page. */
export function nodeGeometry(bytes: number): NodeGeometry {
  assert(bytes >= NODE_BYTES_MIN && bytes <= NODE_BYTES_MAX, 'node size', bytes);
  assert(bytes % 65536 === 0, 'node size is whole WebAssembly pages', bytes);
  const frames = bytes / PAGE_BYTES;
  const frameTableAt = STATIC_WORDS;
  const blocksAt = frameTableAt + frames * FRAME_ARRAYS;
  const shadowsAt = blocksAt + Math.ceil(frames / 512);
  // Twice the frames: slots are handed out from the lowest, so they share a byte only when more than that are in use.
  const shadows = 2 ** Math.ceil(Math.log2(2 * frames));
  const endAt = shadowsAt + shadows / 4;
  const firstFree = Math.ceil(endAt / PAGE_WORDS);
  assert(firstFree + 64 < frames, 'node too small for its tables', firstFree, frames);
  return { bytes, frames, frameTableAt, blocksAt, shadowsByte: shadowsAt * 4, shadows, firstFree };
}

/* Static checks: cheap, run at load, so a wrong edit of this file fails every test at once. */
assert(R_NAME * 4 + 1 + R_NAME_BYTES_MAX <= R_GROUP * 4 && R_PARTS + 2 <= R_ROOTS, 'region slot names');
assert(G_NAME * 4 + 1 + GROUP_NAME_BYTES_MAX <= GROUP_WORDS * 4 && G_SWAP_REFUSED < G_NAME, 'group slot');
assert(R_ROOTS + ROOTS <= REGION_WORDS, 'region slot roots');
assert(T_CLUSTER + 10 <= T_TASK && T_DETACHING < THREAD_WORDS, 'thread slot');
assert(AREA_SCRATCH + SCRATCH_PAGES * PAGE_BYTES <= AREA_GATHER, 'thread area scratch');
assert(AREA_GATHER + UNIT_BYTES <= AREA_STAGING && UNIT_BYTES <= AREA_STAGING_BYTES, 'thread area units');
assert(
  AREA_STAGING + AREA_STAGING_BYTES <= AREA_COUNTERS &&
    AREA_READ_BLOCK + READ_BLOCK_WORDS * 4 <= AREA_PINS &&
    AREA_USES + REGIONS_MAX <= PAGE_BYTES << AREA_ORDER,
  'thread area',
);
assert(CLUSTER_ROOTS * CLUSTER_CHUNK * CLUSTER_SLOTS === SLOTS_MAX, 'cluster roots');
