import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { RecordingSpace, recordingFile, recordingStore, SpaceRecorder } from './recording.ts';
import {
  BORN,
  type EventKind,
  eventOf,
  FREED,
  footprintOf,
  kindOf,
  pageOf,
  READ,
  REPLACE,
  TraceRecorder,
  WRITE,
} from './trace.ts';

const LETTERS = { [READ]: 'r', [WRITE]: 'w', [REPLACE]: 'W', [BORN]: 'b', [FREED]: 'f' };

/** Events as `b0 r0 …`. */
function lineOf(recorder: TraceRecorder): string {
  return [...recorder.trace('').events].map((event) => `${LETTERS[kindOf(event)]}${pageOf(event)}`).join(' ');
}

describe('an event', () => {
  it('is one word of page and kind, for every page there may be', () => {
    for (const page of [0, 1, 2 ** 20, 2 ** 28 - 1]) {
      for (const kind of [READ, WRITE, REPLACE, BORN, FREED] as EventKind[]) {
        const [event] = Int32Array.of(eventOf(page, kind));
        assert.deepEqual([pageOf(event), kindOf(event)], [page, kind]);
      }
    }
  });
});

describe('a recorder', () => {
  it('numbers pages as they come, tells a birth from a write, and leaves out what has no bytes', () => {
    const recorder = new TraceRecorder();
    recorder.read(7);
    recorder.write(2 ** 45, false);
    recorder.write(7, true);
    recorder.read(7);
    recorder.write(7, true);
    recorder.write(7, false);
    recorder.free(3);
    recorder.free(7);
    recorder.free(7);
    recorder.read(7);
    recorder.zeroPart(7);
    recorder.zeroPart(2 ** 45);
    recorder.write(7, false);
    assert.equal(lineOf(recorder), 'b0 b1 r1 W1 w1 f1 w0 b1');
    assert.equal(recorder.trace('x').pages, 2);
    assert.equal(footprintOf(recorder.trace('x')), 2);
  });

  it('grows, and keeps every event', () => {
    const recorder = new TraceRecorder();
    for (let key = 0; key < 200_000; key++) recorder.write(key, true);
    const { events, pages } = recorder.trace('x');
    assert.deepEqual([events.length, pages, recorder.length], [200_000, 200_000, 200_000]);
    assert.deepEqual([pageOf(events[199_999]), kindOf(events[199_999])], [199_999, BORN]);
  });

  it('agrees with a set of the pages that have bytes', () => {
    const operations = fc.array(fc.tuple(fc.nat(3), fc.nat(9)), { maxLength: 200, size: 'max' });
    fc.assert(
      fc.property(operations, (sequence) => {
        const recorder = new TraceRecorder();
        const born = new Set<number>();
        let most = 0;
        let events = 0;
        for (const [action, key] of sequence) {
          const had = born.has(key);
          if (action === 0) recorder.read(key);
          else if (action === 1) recorder.write(key, true);
          else if (action === 2) recorder.free(key);
          else recorder.zeroPart(key);
          if (had || action === 1) events += 1;
          if (action === 1) born.add(key);
          if (action === 2) born.delete(key);
          most = Math.max(most, born.size);
          assert.equal(recorder.length, events);
        }
        assert.equal(footprintOf(recorder.trace('x')), most);
      }),
    );
  });
});

describe('recording', () => {
  it('a space: each page of a range, whole ones told from parts, and the calls go through', () => {
    const recorder = new TraceRecorder();
    const calls: string[] = [];
    const space = new RecordingSpace(
      {
        size: 2 ** 20,
        read: (offset, _target, at, length) => void calls.push(`read ${offset} ${at} ${length}`),
        write: (offset, _source, at, length) => void calls.push(`write ${offset} ${at} ${length}`),
        discard: (offset, length) => void calls.push(`discard ${offset} ${length}`),
        openRead: (offset, end) => void calls.push(`openRead ${offset} ${end}`),
        closeRead: () => calls.push('closeRead') > 0,
        copyOut: (_view, from, _target, to, length) => void calls.push(`copyOut ${from} ${to} ${length}`),
        openWrite: (offset) => void calls.push(`openWrite ${offset}`),
        closeWrite: () => void calls.push('closeWrite'),
      },
      new SpaceRecorder(recorder, 5),
    );
    const bytes = new Uint8Array(8);
    space.write(4000, bytes, 1, 4192); // 96 bytes, then all of page 1
    space.write(0, bytes, 0, 4096);
    space.read(4095, bytes, 0, 2);
    space.openWrite(9000, null);
    space.closeWrite(null);
    space.openRead(9000, 904, null);
    space.copyOut(null, 1, bytes, 2, 3);
    assert.ok(space.closeRead(null));
    space.discard(4000, 4196); // end of page 0, all of page 1, four bytes of page 2
    assert.equal(lineOf(recorder), 'b0 b1 W0 r0 r1 b2 r2 w0 f1 w2');
    assert.equal(space.size, 2 ** 20);
    assert.deepEqual(calls, [
      'write 4000 1 4192',
      'write 0 0 4096',
      'read 4095 0 2',
      'openWrite 9000',
      'closeWrite',
      'openRead 9000 904',
      'copyOut 1 2 3',
      'closeRead',
      'discard 4000 4196',
    ]);
  });

  it('two spaces share no page', () => {
    const recorder = new TraceRecorder();
    for (const space of [0, 1, 2]) new SpaceRecorder(recorder, space).write(0, 1);
    assert.equal(lineOf(recorder), 'b0 b1 b2');
  });

  it('a store and a file', async () => {
    const recorder = new TraceRecorder();
    const held = new Uint8Array(8192);
    const store = recordingStore(
      { write: (at, bytes) => held.set(bytes, at), read: (at, target) => target.set(held.subarray(at, at + 2)) },
      new SpaceRecorder(recorder, 0),
    );
    store.write(4096, Uint8Array.of(3, 4));
    const target = new Uint8Array(2);
    store.read(4096, target);
    assert.deepEqual([...target], [3, 4]);
    let synced = 0;
    const file = recordingFile(
      { readSync: () => 1, writeSync: () => 2, datasync: async () => void synced++ },
      new SpaceRecorder(recorder, 1),
    );
    assert.equal(file.writeSync(target, 0, 8192, 0), 2);
    assert.equal(file.readSync(target, 0, 100, 4096), 1);
    await file.datasync();
    assert.equal(synced, 1);
    assert.equal(lineOf(recorder), 'b0 r0 b1 b2 r2');
  });
});
