/**
 * The lock-free protocols of the page cache, all schedules: readers against eviction and reuse of a folio, stale fills
 * against write, writeback and eviction, the writer's dirty bit against the flusher's unlisting, size against the exchange
 * of dirty words, a fill against truncate, and the last close against the flusher.
 */
import { test } from 'node:test';
import {
  add,
  compareExchange,
  exchange,
  load,
  lock,
  type Model,
  type Results,
  type Steps,
  store,
  unlock,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
const OLD = 10;
const NEW = 20;
const FOREIGN = 50;

/* readFolio: entry, version of the head, entry again, uptodate bit, bytes, version; evictFolioLocked, then another file's
   page gets the frame, and this page is read into another one. */
{
  const ENTRY = 1; // 0 none, else 1 + frame
  const UPTODATE = 2;
  const VERSIONS = 3; // of frames 0 and 1
  const DATA = 5; // of frames 0 and 1

  interface Variant {
    readonly bitAfterVersion: boolean;
    readonly bumps: boolean;
  }

  function* reader(variant: Variant, out: Results): Steps {
    const early = variant.bitAfterVersion ? 0 : yield* load(UPTODATE);
    const entry = yield* load(ENTRY);
    if (entry === 0) return;
    const version = yield* load(VERSIONS + entry - 1);
    if ((yield* load(ENTRY)) !== entry) return;
    const bit = variant.bitAfterVersion ? yield* load(UPTODATE) : early;
    if (bit === 0) return;
    const bytes = yield* load(DATA + entry - 1);
    if ((yield* load(VERSIONS + entry - 1)) !== version) return;
    out['bytes'] = bytes;
  }

  /** evictFolioLocked, freeLocked; the frame's next use. */
  function* evictor(variant: Variant): Steps {
    yield* lock(LOCK);
    yield* store(ENTRY, 0);
    yield* store(UPTODATE, 0);
    if (variant.bumps) yield* add(VERSIONS, 1);
    yield* store(DATA, FOREIGN);
    yield* unlock(LOCK);
    // The page comes back as part of a folio of which only other blocks are uptodate: its own bytes are garbage.
    yield* lock(LOCK);
    yield* store(ENTRY, 2);
    yield* unlock(LOCK);
  }

  const model = (variant: Variant): Model => ({
    memory: [0, 1, 1, 0, 0, OLD, FOREIGN],
    actors: [(out) => reader(variant, out), () => evictor(variant)],
    outcome: (_memory, out) => {
      if (out['bytes'] === undefined) return 'looks again';
      return out['bytes'] === OLD ? 'this page' : 'bytes of another page';
    },
  });

  test('a read of a cached block gives its bytes, or looks again', () => {
    checkOutcomes(model({ bitAfterVersion: true, bumps: true }), ['this page', 'looks again']);
  });

  test('broken: a version that stands still, or the bit looked at before the version', () => {
    checkBroken(model({ bitAfterVersion: true, bumps: false }), 'bytes of another page');
    checkBroken(model({ bitAfterVersion: false, bumps: true }), 'bytes of another page');
  });
}

/* publishBatch with what was read before: a write, its writeback and the eviction of the page come in between. */
{
  const ENTRY = 1;
  const CACHED = 2; // bytes of the cached page
  const DISK = 3;
  const CONTENT = 4;
  const DIRTY = 5;

  type Check = 'sequence before the read' | 'sequence after the read' | 'entry only';
  type Move = 'before clean' | 'after clean';

  function* filler(check: Check, out: Results): Steps {
    if ((yield* load(ENTRY)) !== 0) return;
    let content = check === 'sequence before the read' ? yield* load(CONTENT) : 0;
    const bytes = yield* load(DISK);
    if (check === 'sequence after the read') content = yield* load(CONTENT);
    yield* lock(LOCK);
    const isFresh = check === 'entry only' || (yield* load(CONTENT)) === content;
    if (isFresh && (yield* load(ENTRY)) === 0) {
      yield* store(CACHED, bytes);
      yield* store(ENTRY, 1);
      out['published'] = 1;
    }
    yield* unlock(LOCK);
  }

  /** writeFresh: the page is cached with new bytes, unless it is cached already; then it is written in place. */
  function* writer(): Steps {
    yield* lock(LOCK);
    yield* store(CACHED, NEW);
    yield* store(ENTRY, 1);
    yield* store(DIRTY, 1);
    yield* unlock(LOCK);
  }

  /** Writeback of the dirty page, then reclaim takes it as soon as it is clean. */
  function* flusherAndReclaim(move: Move): Steps {
    if ((yield* load(DIRTY)) === 0) return;
    const bytes = yield* load(CACHED);
    yield* store(DISK, bytes);
    if (move === 'before clean') yield* add(CONTENT, 1);
    yield* store(DIRTY, 0);
    yield* lock(LOCK);
    yield* store(ENTRY, 0);
    yield* unlock(LOCK);
    if (move === 'after clean') yield* add(CONTENT, 1);
  }

  const model = (check: Check, move: Move): Model => ({
    memory: [0, 0, 0, OLD, 0, 0],
    actors: [
      (out) => filler(check, out),
      function* () {
        yield* writer();
        yield* flusherAndReclaim(move);
      },
    ],
    outcome: (memory) => {
      const seen = memory[ENTRY] === 0 ? memory[DISK] : memory[CACHED];
      return seen === NEW ? 'new bytes' : 'old bytes are back';
    },
  });

  test('a fill never brings back what a write, its writeback and eviction have replaced', () => {
    checkOutcomes(model('sequence before the read', 'before clean'), ['new bytes']);
  });

  test('broken: without the content sequence, taken too late, or moved when the page is already clean', () => {
    checkBroken(model('entry only', 'before clean'), 'old bytes are back');
    checkBroken(model('sequence after the read', 'before clean'), 'old bytes are back');
    checkBroken(model('sequence before the read', 'after clean'), 'old bytes are back');
  });
}

/* markDirty: bytes, dirty bit, look at LISTED; the flusher: LISTED := 0, exchange, bytes. */
{
  const LISTED = 1;
  const DIRTY = 2;
  const BYTES = 3;
  const DISK = 4;

  type WriterOrder = 'bit, look' | 'look, bit';
  type FlusherOrder = 'unlist, exchange' | 'exchange, unlist';

  function* writer(order: WriterOrder): Steps {
    yield* store(BYTES, NEW);
    const early = order === 'look, bit' ? yield* load(LISTED) : 0;
    yield* exchange(DIRTY, 1);
    const listed = order === 'look, bit' ? early : yield* load(LISTED);
    if (listed !== 0) return;
    yield* lock(LOCK);
    yield* store(LISTED, 1);
    yield* unlock(LOCK);
  }

  function* flusher(order: FlusherOrder): Steps {
    yield* lock(LOCK);
    if (order === 'unlist, exchange') yield* store(LISTED, 0);
    const taken = yield* exchange(DIRTY, 0);
    if (order === 'exchange, unlist') yield* store(LISTED, 0);
    yield* unlock(LOCK);
    if (taken === 0) return;
    const bytes = yield* load(BYTES);
    yield* store(DISK, bytes);
  }

  const model = (writerOrder: WriterOrder, flusherOrder: FlusherOrder): Model => ({
    memory: [0, 1, 1, OLD, 0],
    actors: [() => writer(writerOrder), () => flusher(flusherOrder)],
    outcome: (memory) => {
      if (memory[DIRTY] === 1) return memory[LISTED] === 1 ? 'will be written' : 'dirty on no list';
      return memory[DISK] === NEW ? 'written' : 'lost';
    },
  });

  test('a dirty bit that the flusher did not take is on a listed leaf', () => {
    checkOutcomes(model('bit, look', 'unlist, exchange'), ['written', 'will be written']);
  });

  test('broken: looking before setting, or unlisting after the exchange', () => {
    checkBroken(model('look, bit', 'unlist, exchange'), 'dirty on no list');
    checkBroken(model('bit, look', 'exchange, unlist'), 'dirty on no list');
  });
}

/* finishWrite: size, then dirty bit; the flusher: exchange, then size, and cuts off what it writes there. */
{
  const SIZE = 1;
  const DIRTY = 2;
  const WRITTEN = 3; // bytes of the block that reached the disk

  type WriterOrder = 'size, bit' | 'bit, size';
  type FlusherOrder = 'exchange, size' | 'size, exchange';

  function* writer(order: WriterOrder): Steps {
    if (order === 'size, bit') yield* store(SIZE, 4);
    yield* exchange(DIRTY, 1);
    if (order === 'bit, size') yield* store(SIZE, 4);
  }

  function* flusher(order: FlusherOrder): Steps {
    let size = order === 'size, exchange' ? yield* load(SIZE) : 0;
    const taken = yield* exchange(DIRTY, 0);
    if (order === 'exchange, size') size = yield* load(SIZE);
    if (taken === 1) yield* store(WRITTEN, size);
  }

  const model = (writerOrder: WriterOrder, flusherOrder: FlusherOrder): Model => ({
    memory: [0, 1, 0, 0],
    actors: [() => writer(writerOrder), () => flusher(flusherOrder)],
    outcome: (memory) => {
      if (memory[DIRTY] === 1) return 'will be written';
      return memory[WRITTEN] === 4 ? 'written' : 'cut off';
    },
  });

  test('a flusher that takes the bit of an extending write sees its size', () => {
    checkOutcomes(model('size, bit', 'exchange, size'), ['written', 'will be written']);
  });

  test('broken: bit before size, or size read before the exchange', () => {
    checkBroken(model('bit, size', 'exchange, size'), 'cut off');
    checkBroken(model('size, bit', 'size, exchange'), 'cut off');
  });
}

/* truncateLocked (file, size, content sequence, pages behind the end) against a fill of a page behind the new end. */
{
  const DISK = 1; // bytes of the page on disk, 0 behind the end
  const SIZE = 2; // pages
  const CONTENT = 3;
  const ENTRY = 4;
  const CACHED = 5;

  type Order = 'sequence, drop' | 'drop, sequence';

  function* filler(): Steps {
    const content = yield* load(CONTENT);
    const size = yield* load(SIZE);
    if (size === 0) return;
    const bytes = yield* load(DISK);
    yield* lock(LOCK);
    if ((yield* load(CONTENT)) === content && (yield* load(ENTRY)) === 0) {
      yield* store(CACHED, bytes);
      yield* store(ENTRY, 1);
    }
    yield* unlock(LOCK);
  }

  function* truncater(order: Order): Steps {
    yield* store(DISK, 0);
    yield* store(SIZE, 0);
    if (order === 'sequence, drop') yield* add(CONTENT, 1);
    yield* lock(LOCK);
    yield* store(ENTRY, 0);
    yield* unlock(LOCK);
    if (order === 'drop, sequence') yield* add(CONTENT, 1);
    // The file grows again: what was cut off must read as zeros.
    yield* store(SIZE, 1);
  }

  const model = (order: Order): Model => ({
    memory: [0, OLD, 1, 0, 0, 0],
    actors: [filler, () => truncater(order)],
    outcome: (memory) =>
      (memory[ENTRY] === 1 ? memory[CACHED] : memory[DISK]) === 0 ? 'zeros' : 'cut-off bytes are back',
  });

  test('what truncate cut off is gone, whatever was being read', () => {
    checkOutcomes(model('sequence, drop'), ['zeros']);
  });

  test('broken: pages dropped before the content sequence moves', () => {
    checkBroken(model('drop, sequence'), 'cut-off bytes are back');
  });
}

/* pinFolio (add, entry again) against evictFolioLocked (freeze, bits, entries) with a writer that dirties the block. */
{
  const PIN = 1;
  const ENTRY = 2;
  const DIRTY = 3;
  const FROZEN = -100;

  function* writer(checksAgain: boolean, out: Results): Steps {
    if ((yield* load(ENTRY)) === 0) return;
    if ((yield* add(PIN, 1)) < 0) {
      yield* add(PIN, -1);
      return;
    }
    if (checksAgain && (yield* load(ENTRY)) === 0) {
      yield* add(PIN, -1);
      return;
    }
    yield* exchange(DIRTY, 1);
    out['wrote'] = 1;
    yield* add(PIN, -1);
  }

  type Look = 'frozen' | 'before the freeze';

  function* evictor(look: Look, out: Results): Steps {
    yield* lock(LOCK);
    const early = look === 'before the freeze' ? yield* load(DIRTY) : 0;
    if ((yield* compareExchange(PIN, 0, FROZEN)) === 0) {
      const dirty = look === 'frozen' ? yield* load(DIRTY) : early;
      if (dirty === 0) {
        yield* store(ENTRY, 0);
        out['evicted'] = 1;
        // Another page gets the frame and is mapped: it can be pinned, and bears no dirty bit.
      }
      yield* add(PIN, -FROZEN);
    }
    yield* unlock(LOCK);
  }

  const model = (checksAgain: boolean, look: Look): Model => ({
    memory: [0, 0, 1, 0],
    actors: [(out) => writer(checksAgain, out), (out) => evictor(look, out)],
    outcome: (memory, out) => {
      if (out['wrote'] === undefined) return 'looks again';
      return memory[ENTRY] === 1 && memory[DIRTY] === 1 ? 'written' : 'written to a page that is gone';
    },
  });

  test('a write reaches a page that is there, or looks again', () => {
    checkOutcomes(model(true, 'frozen'), ['written', 'looks again']);
  });

  test('broken: entry not looked at again, or dirty bits looked at before the freeze', () => {
    checkBroken(model(false, 'frozen'), 'written to a page that is gone');
    checkBroken(model(true, 'before the freeze'), 'written to a page that is gone');
  });
}

/* closeInode against tryEnterWriteback: the control frame is freed by the last close. */
{
  const STATE = 1; // 1 in use
  const WRITEBACK = 2;
  const CONTROL = 3; // 1 while it is the inode's

  type Entry = 'under the node lock' | 'without';

  function* closer(): Steps {
    yield* lock(LOCK);
    yield* store(STATE, 0);
    yield* unlock(LOCK);
    yield* lock(WRITEBACK);
    yield* unlock(WRITEBACK);
    yield* store(CONTROL, 0);
  }

  function* flusher(entry: Entry, out: Results): Steps {
    if (entry === 'under the node lock') yield* lock(LOCK);
    const isOpen = (yield* load(STATE)) === 1;
    const isEntered = isOpen && (yield* compareExchange(WRITEBACK, 0, 9)) === 0;
    if (entry === 'under the node lock') yield* unlock(LOCK);
    if (!isEntered) return;
    out['control'] = yield* load(CONTROL);
    yield* store(WRITEBACK, 0);
  }

  const model = (entry: Entry): Model => ({
    memory: [0, 1, 0, 1],
    actors: [closer, (out) => flusher(entry, out)],
    outcome: (_memory, out) => {
      if (out['control'] === undefined) return 'not entered';
      return out['control'] === 1 ? 'the file’s' : 'freed memory';
    },
  });

  test('who enters writeback without a handle finds the inode there until it leaves', () => {
    checkOutcomes(model('under the node lock'), ['the file’s', 'not entered']);
  });

  test('broken: the region looked at without the node lock', () => {
    checkBroken(model('without'), 'freed memory');
  });
}

/* pinRange's gather: every folio of the block pinned and copied, then all moved in one hold of the lock; a reader fills the
   absent page of the block in between, which takes none of the pinner's locks. */
{
  const ENTRY = 1; // of pages 0 and 1: 0 none, else the frame's number
  const BLOCK = 7; // the frames of the block: 7 and 8

  function* pinner(looksAgain: boolean, out: Results): Steps {
    yield* lock(LOCK);
    const seen = [yield* load(ENTRY), yield* load(ENTRY + 1)];
    yield* unlock(LOCK);
    // The copy is made here.
    yield* lock(LOCK);
    const now = [yield* load(ENTRY), yield* load(ENTRY + 1)];
    if (!looksAgain || (now[0] === seen[0] && now[1] === seen[1])) {
      out['lost'] = now[1] !== seen[1] ? 1 : 0;
      yield* store(ENTRY, BLOCK);
      yield* store(ENTRY + 1, BLOCK + 1);
    }
    yield* unlock(LOCK);
  }

  function* filler(): Steps {
    yield* lock(LOCK);
    if ((yield* load(ENTRY + 1)) === 0) yield* store(ENTRY + 1, 2);
    yield* unlock(LOCK);
  }

  const model = (looksAgain: boolean): Model => ({
    memory: [0, 1, 0],
    actors: [(out) => pinner(looksAgain, out), filler],
    outcome: (memory, out) => {
      if (out['lost'] === 1) return 'a cached folio is lost';
      return memory[ENTRY] === BLOCK ? 'one folio' : 'tries again';
    },
  });

  test('a pin of several folios moves all that are there, or tries again', () => {
    checkOutcomes(model(true), ['one folio', 'tries again']);
  });

  test('broken: a pin that does not look again after copying', () => {
    checkBroken(model(false), 'a cached folio is lost');
  });
}
