/**
 * page-cache/writeback.ts and block-state.ts: a writer (file-write.ts finishWrite, markDirty) against the one that writes the leaf back
 * (beginBatchLocked, writeBatch, endBatch); a reader that fills (file-fill.ts) against write, writeback and eviction of the same page; sync
 * tickets (sync.ts).
 */
import { test } from 'node:test';
import {
  add,
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
const BYTES = 1;
const SIZE = 2;
const DIRTY = 3;
const LISTED = 4;
const DISK = 5;
const DISK_SIZE = 6;
const WB_LOCK = 7;

interface WriteVariant {
  readonly writer: 'bytes, size, bit' | 'bit, bytes, size' | 'size, bytes, bit';
  /** The leaf leaves the list before its dirty words are taken. */
  readonly unlistsFirst: boolean;
  /** The size is read after the dirty words were taken. */
  readonly sizeLast: boolean;
  /** The dirty bits go when the batch begins; else when it has ended. */
  readonly takesAtBegin: boolean;
}

const REAL: WriteVariant = { writer: 'bytes, size, bit', unlistsFirst: true, sizeLast: true, takesAtBegin: true };

/** Extends the file to size 2 with bytes 2. */
function* writer({ writer: order }: WriteVariant): Steps {
  const bytes = (): Steps => store(BYTES, 2);
  const size = (): Steps => store(SIZE, 2);
  if (order === 'bytes, size, bit') {
    yield* bytes();
    yield* size();
    yield* exchange(DIRTY, 1);
  } else if (order === 'size, bytes, bit') {
    yield* size();
    yield* bytes();
    yield* exchange(DIRTY, 1);
  } else {
    yield* exchange(DIRTY, 1);
    yield* bytes();
    yield* size();
  }
  if ((yield* load(LISTED)) !== 0) return;
  yield* lock(LOCK);
  yield* store(LISTED, 1);
  yield* unlock(LOCK);
}

/** One batch, if the leaf is listed, under the writeback lock. */
function* flusher(variant: WriteVariant): Steps {
  yield* lock(WB_LOCK);
  yield* batch(variant);
  yield* unlock(WB_LOCK);
}

function* batch(variant: WriteVariant): Steps {
  const early = variant.sizeLast ? 0 : yield* load(SIZE);
  yield* lock(LOCK);
  if ((yield* load(LISTED)) === 0) return yield* unlock(LOCK);
  if (variant.unlistsFirst) yield* store(LISTED, 0);
  const taken = variant.takesAtBegin ? yield* exchange(DIRTY, 0) : yield* load(DIRTY);
  if (!variant.unlistsFirst) yield* store(LISTED, 0);
  yield* unlock(LOCK);
  if (taken === 0) return;
  const size = variant.sizeLast ? yield* load(SIZE) : early;
  yield* store(DISK, yield* load(BYTES));
  yield* store(DISK_SIZE, size);
  if (!variant.takesAtBegin) yield* store(DIRTY, 0);
}

/** The page is dirty from an earlier write of size 1. */
function writeModel(variant: WriteVariant): Model {
  return {
    memory: [0, 1, 1, 1, 1, 0, 0, 0],
    actors: [() => writer(variant), () => flusher(variant), () => flusher(variant)],
    outcome: (memory) => {
      if (memory[DIRTY] === 1) return memory[LISTED] === 1 ? 'to be written' : 'dirty but not listed';
      if (memory[DISK] !== 2) return 'bytes lost';
      return memory[DISK_SIZE] === 2 ? 'written' : 'cut off';
    },
  };
}

test('what was written is on disk, or dirty and listed', () => {
  checkOutcomes(writeModel(REAL), ['written', 'to be written']);
});

test('broken: the dirty words are taken before the leaf leaves the list', () => {
  checkBroken(writeModel({ ...REAL, unlistsFirst: false }), 'dirty but not listed');
});

test('broken: the size is read before the dirty words are taken', () => {
  checkBroken(writeModel({ ...REAL, sizeLast: false }), 'cut off');
});

test('broken: the dirty bit comes before the bytes', () => {
  checkBroken(writeModel({ ...REAL, writer: 'bit, bytes, size' }), 'bytes lost');
});

test('broken: the dirty bits go when the write has ended', () => {
  checkBroken(writeModel({ ...REAL, takesAtBegin: false }), 'bytes lost');
});

/* A page that leaves the cache and comes again. Memory: BYTES is what is cached while ENTRY is 1. */
const ENTRY = 2;
const CLEAN = 3;
const SEQUENCE = 4;

interface FillVariant {
  /** The content sequence moves before the written page is clean. */
  readonly movesFirst: boolean;
  readonly fillChecks: boolean;
}

/** Reads the file without a lock, publishes if nothing is cached. */
function* filler(variant: FillVariant): Steps {
  const sequence = yield* load(SEQUENCE);
  const got = yield* load(DISK);
  yield* lock(LOCK);
  const isSame = !variant.fillChecks || (yield* load(SEQUENCE)) === sequence;
  if (isSame && (yield* load(ENTRY)) === 0) {
    yield* store(BYTES, got);
    yield* store(CLEAN, 1);
    yield* store(ENTRY, 1);
  }
  yield* unlock(LOCK);
}

/** Caches new bytes and writes them back. */
function* writeAndWriteBack(variant: FillVariant): Steps {
  yield* lock(LOCK);
  yield* store(BYTES, 2);
  yield* store(CLEAN, 0);
  yield* store(ENTRY, 1);
  yield* unlock(LOCK);
  yield* store(DISK, 2);
  yield* lock(LOCK);
  if (variant.movesFirst) yield* add(SEQUENCE, 1);
  yield* store(CLEAN, 1);
  yield* unlock(LOCK);
  if (!variant.movesFirst) yield* add(SEQUENCE, 1);
}

function* evictor(): Steps {
  yield* lock(LOCK);
  if ((yield* load(ENTRY)) === 1 && (yield* load(CLEAN)) === 1) yield* store(ENTRY, 0);
  yield* unlock(LOCK);
}

function fillModel(variant: FillVariant): Model {
  return {
    memory: [0, 0, 0, 0, 0, 1],
    actors: [() => filler(variant), () => writeAndWriteBack(variant), evictor],
    outcome: (memory) => (memory[ENTRY] === 1 && memory[BYTES] !== memory[DISK] ? 'old bytes cached' : 'sound'),
  };
}

test('a reader never publishes bytes from before a write that was cached, written back and evicted', () => {
  checkOutcomes(fillModel({ movesFirst: true, fillChecks: true }), ['sound']);
});

test('broken: the content sequence moves after the page became clean', () => {
  checkBroken(fillModel({ movesFirst: false, fillChecks: true }), 'old bytes cached');
});

test('broken: the reader looks at the entry only', () => {
  checkBroken(fillModel({ movesFirst: true, fillChecks: false }), 'old bytes cached');
});

/* Sync: one leaf, listed with a serial; tickets. */
const SERIAL = 1;
const LEAF_SERIAL = 2;
const WANTED = 3;
const DONE = 4;
const FINISHED = 6;

interface SyncVariant {
  /** The server reads the ticket before the serial. */
  readonly ticketFirst: boolean;
  /** A leaf with a serial that came later is left for the next sync. */
  readonly coversAll: boolean;
}

/** Writes, then asks for a sync and waits for it. */
function* syncer(out: Results): Steps {
  yield* lock(LOCK);
  yield* store(LEAF_SERIAL, (yield* add(SERIAL, 1)) + 1);
  yield* unlock(LOCK);
  const ticket = (yield* add(WANTED, 1)) + 1;
  yield { isReady: (memory) => memory[DONE] >= ticket, run: () => 0, text: 'wait for the ticket' };
  out['disk'] = yield* load(DISK);
  yield* store(FINISHED, 1);
}

/** Dirties the leaf whenever it was written, so often that a server that takes all of it would have more to do. */
function* dirtier(times: number): Steps {
  for (let i = 0; i < times; i++) {
    yield* lock(LOCK);
    if ((yield* load(LEAF_SERIAL)) === 0) yield* store(LEAF_SERIAL, (yield* add(SERIAL, 1)) + 1);
    yield* unlock(LOCK);
  }
}

/** serveSync, until somebody was served. */
function* server(variant: SyncVariant, out: Results): Steps {
  let batches = 0;
  const isReady = (memory: Int32Array): boolean => memory[WANTED] > memory[DONE] || memory[FINISHED] === 1;
  yield { isReady, run: () => 0, text: 'wait for a waiter' };
  let ticket = variant.ticketFirst ? yield* load(WANTED) : 0;
  const serial = yield* load(SERIAL);
  if (!variant.ticketFirst) ticket = yield* load(WANTED);
  for (;;) {
    yield* lock(LOCK);
    const leaf = yield* load(LEAF_SERIAL);
    const isCovered = leaf !== 0 && (variant.coversAll || leaf <= serial);
    if (isCovered) yield* store(LEAF_SERIAL, 0);
    yield* unlock(LOCK);
    if (!isCovered) break;
    batches++;
    yield* store(DISK, 1);
  }
  yield* store(DONE, ticket);
  out['batches'] = batches;
}

function syncModel(variant: SyncVariant): Model {
  return {
    memory: [0, 0, 0, 0, 0, 0, 0],
    actors: [(out) => syncer(out), () => dirtier(2), (out) => server(variant, out)],
    outcome: (_memory, out) => {
      if (out['disk'] !== 1) return 'sync without the bytes';
      return out['batches'] > 1 ? 'a leaf written twice' : 'synced';
    },
  };
}

test('a sync that returns has written what came before it, each leaf once', () => {
  checkOutcomes(syncModel({ ticketFirst: true, coversAll: false }), ['synced']);
});

/** The server looks before anybody waits: it may hold a serial from before the ticket. */
function earlyServer(variant: SyncVariant): Model {
  return {
    memory: [0, 0, 0, 0, 0, 0, 0],
    actors: [
      (out) => syncer(out),
      function* (out) {
        for (let pass = 0; pass < 2; pass++) {
          let ticket = variant.ticketFirst ? yield* load(WANTED) : 0;
          const serial = yield* load(SERIAL);
          if (!variant.ticketFirst) ticket = yield* load(WANTED);
          yield* lock(LOCK);
          const leaf = yield* load(LEAF_SERIAL);
          if (leaf !== 0 && leaf <= serial) {
            yield* store(LEAF_SERIAL, 0);
            yield* store(DISK, 1);
          }
          yield* unlock(LOCK);
          yield* store(DONE, ticket);
        }
        yield* server(variant, out);
      },
    ],
    outcome: (_memory, out) => (out['disk'] === 1 ? 'synced' : 'sync without the bytes'),
  };
}

test('a server that was looking already when the ticket was taken serves it all the same', () => {
  checkOutcomes(earlyServer({ ticketFirst: true, coversAll: false }), ['synced']);
});

test('broken: the serial is read before the ticket', () => {
  checkBroken(earlyServer({ ticketFirst: false, coversAll: false }), 'sync without the bytes');
});

test('broken: a sync takes whatever is dirty', () => {
  checkBroken(syncModel({ ticketFirst: true, coversAll: true }), 'a leaf written twice');
});
