/** FileSpace by cases: borders, folio orders, misses, full memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { orderFromPte } from '../arena/pte.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import type { FileRequest } from '../testing/memory-file-io.ts';
import { isUptodate } from './block-state.ts';
import { createFileScene, evictAll, FD, type FileScene, leafOf, patternAt, readAll } from './testing/file-scene.ts';

/** Orders of the folios of the first chunk, in the order of its pages. */
function ordersOf(scene: FileScene, pages: number): number[] {
  const leaf = leafOf(scene);
  const orders: number[] = [];
  for (let page = 0; page < pages; ) {
    const pte = scene.instance.node.words[leaf + page];
    orders.push(pte === 0 ? -1 : orderFromPte(pte));
    page += pte === 0 ? 1 : 1 << orderFromPte(pte);
  }
  return orders;
}

describe('borders of blocks, folios, leaves and the file', () => {
  const borders = [0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 4 * PAGE_BYTES - 1, 4 * PAGE_BYTES];
  const leafBorders = [CHUNK_BYTES - PAGE_BYTES, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1];
  const lengths = [0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 2 * PAGE_BYTES, 5 * PAGE_BYTES + 3];

  /** The file on disk is `size` bytes; nothing of it is cached, or all of it in folios of `order`. */
  function reset(scene: FileScene, size: number, order: number): Uint8Array {
    const { space, io } = scene;
    space.truncate(0);
    io.put(FD, patternAt(0, size, 1));
    space.truncate(size);
    if (order >= 0) space.fill(0, Math.ceil(size / PAGE_BYTES), order);
    return patternAt(0, size, 1);
  }

  for (const order of [-1, 0, 2]) {
    it(`a write anywhere leaves all else as it was (${order < 0 ? 'not cached' : `order ${order}`})`, () => {
      const scene = createFileScene();
      for (const size of borders) {
        for (const position of borders) {
          for (const length of lengths) {
            const before = reset(scene, size, order);
            const data = patternAt(position, length, 2);
            assert.equal(scene.space.write(position, data, 0, length), length);
            const expected = new Uint8Array(Math.max(size, length === 0 ? 0 : position + length));
            expected.set(before);
            if (length > 0) expected.set(data, position);
            const at = `${size} ${position} ${length}`;
            assert.ok(readAll(scene).equals(expected), at);
            assert.ok(scene.flush());
            const disk = new Uint8Array(expected.length);
            disk.set(scene.io.bytes(FD));
            assert.ok(Buffer.from(disk).equals(expected), `disk, ${at}`);
          }
        }
      }
      scene.finish();
    });
  }

  it('across the border of two leaves, in one node and in two', () => {
    for (const nodes of [1, 2]) {
      const scene = createFileScene({ nodes, bytes: 8 * MIB });
      const size = CHUNK_BYTES + 3 * PAGE_BYTES;
      for (const position of leafBorders) {
        for (const length of lengths) {
          const before = reset(scene, size, 3);
          const data = patternAt(position, length, 2);
          scene.space.write(position, data, 0, length);
          const expected = new Uint8Array(Math.max(size, position + length));
          expected.set(before);
          expected.set(data, position);
          assert.ok(readAll(scene).equals(expected), `${position} ${length}`);
        }
      }
      scene.check();
      scene.finish();
    }
  });

  it('a truncate anywhere cuts there, and what comes back when the file grows is zeros', () => {
    const scene = createFileScene();
    for (const order of [-1, 0, 3]) {
      for (const size of borders) {
        for (const cut of borders) {
          const before = reset(scene, size, order);
          scene.space.truncate(cut);
          assert.equal(scene.space.size(), cut);
          scene.space.truncate(6 * PAGE_BYTES);
          const expected = new Uint8Array(6 * PAGE_BYTES);
          expected.set(before.subarray(0, cut));
          assert.ok(readAll(scene).equals(expected), `${order} ${size} ${cut}`);
          scene.check();
        }
      }
    }
    scene.finish();
  });

  it('reads end where the file ends', () => {
    const scene = createFileScene({}, patternAt(0, 5000));
    const target = new Uint8Array(10);
    assert.equal(scene.space.read(5000, target, 0, 10), 0);
    assert.equal(scene.space.read(9000, target, 0, 10), 0);
    assert.equal(scene.space.read(4996, target, 2, 8), 4);
    assert.deepEqual([...target], [0, 0, ...patternAt(4996, 4), 0, 0, 0, 0]);
    scene.finish();
  });
});

describe('folios', () => {
  it('a write makes them as large as its length and place allow', () => {
    const scene = createFileScene({ bytes: 16 * MIB });
    const write = (pageStart: number, pages: number): void => {
      const data = patternAt(pageStart * PAGE_BYTES, pages * PAGE_BYTES);
      scene.space.write(pageStart * PAGE_BYTES, data, 0, data.length);
    };
    write(0, 8);
    write(9, 7);
    write(16, 3);
    assert.deepEqual(ordersOf(scene, 19), [3, -1, 0, 1, 2, 1, 0]);
    write(0, 512);
    assert.deepEqual(ordersOf(scene, 19), [3, 0, 0, 1, 2, 1, 0], 'folios that are there are taken as they are');
    write(512, 512);
    const large = scene.instance.node.words[leafOf(scene, 1)];
    assert.equal(orderFromPte(large), 9, '2 MiB in one folio');
    scene.check();
    scene.finish();
  });

  it('a write touches the state of its own blocks only, whatever the folio', () => {
    const scene = createFileScene({ bytes: 16 * MIB }, patternAt(0, CHUNK_BYTES));
    scene.space.fill(0, 512, 9);
    assert.deepEqual(ordersOf(scene, 512), [9]);
    const { words } = scene.instance.node;
    const leaf = leafOf(scene);
    scene.space.write(300 * PAGE_BYTES + 5, patternAt(0, 10), 0, 10);
    const dirty = Array.from({ length: 16 }, (_, word) => words[leaf + L.FL_DIRTY + word]);
    assert.deepEqual(
      dirty,
      Array.from({ length: 16 }, (_, word) => (word === 9 ? 1 << 12 : 0)),
    );
    assert.equal(words[L.H_PC_DIRTY], 1);
    scene.space.write(300 * PAGE_BYTES, patternAt(0, 10), 0, 10);
    assert.equal(words[L.H_PC_DIRTY], 1, 'counted once');
    scene.finish();
  });

  it('a write of part of a block reads that block only, and none behind the end of the file', () => {
    const scene = createFileScene({}, patternAt(0, 10 * PAGE_BYTES));
    const requests: FileRequest[] = [];
    scene.io.during = (request) => requests.push(request);
    scene.space.write(3 * PAGE_BYTES + 1, patternAt(0, 5), 0, 5);
    assert.deepEqual(
      requests.map(({ op, position, length }) => [op, position, length]),
      [['read', 3 * PAGE_BYTES, PAGE_BYTES]],
    );
    scene.space.write(20 * PAGE_BYTES + 1, patternAt(0, 5), 0, 5);
    scene.space.write(5 * PAGE_BYTES, patternAt(0, 2 * PAGE_BYTES), 0, 2 * PAGE_BYTES);
    assert.equal(requests.length, 1, 'nothing to keep, nothing to read');
    scene.finish();
  });

  it('the walk of all blocks does the same to the file', () => {
    const scene = createFileScene({ bytes: 16 * MIB }, patternAt(0, CHUNK_BYTES), { naiveWalk: true });
    scene.space.fill(0, 512, 9);
    scene.space.write(70_000, patternAt(0, 9000, 4), 0, 9000);
    const expected = patternAt(0, CHUNK_BYTES);
    expected.set(patternAt(0, 9000, 4), 70_000);
    assert.ok(readAll(scene).equals(expected));
    scene.finish();
  });

  it('bytes of the instance’s own memory are copied by the kernel, from and to other nodes too', () => {
    const scene = createFileScene({ nodes: 2, bytes: 8 * MIB });
    const block = scene.instance.memory.nodes[0];
    const own = block.bytes.subarray(block.areaByte, block.areaByte + 3 * PAGE_BYTES);
    own.set(patternAt(0, own.length, 6));
    for (const position of [10, CHUNK_BYTES + 10]) {
      scene.space.write(position, own, 5, 2 * PAGE_BYTES);
      own.fill(0);
      assert.equal(scene.space.read(position, own, 5, 2 * PAGE_BYTES), 2 * PAGE_BYTES);
      assert.ok(Buffer.from(own.subarray(5, 5 + 2 * PAGE_BYTES)).equals(patternAt(5, 2 * PAGE_BYTES, 6)));
      own.set(patternAt(0, own.length, 6));
    }
    scene.finish();
  });
});

describe('misses', () => {
  it('are read in one request where they lie together, around what is cached', () => {
    const scene = createFileScene({}, patternAt(0, 20 * PAGE_BYTES));
    scene.space.write(10 * PAGE_BYTES, patternAt(10 * PAGE_BYTES, PAGE_BYTES), 0, PAGE_BYTES);
    const requests: FileRequest[] = [];
    scene.io.during = (request) => requests.push(request);
    assert.ok(readAll(scene).equals(patternAt(0, 20 * PAGE_BYTES)));
    assert.deepEqual(
      requests.map(({ position, length }) => [position / PAGE_BYTES, length / PAGE_BYTES]),
      [
        [0, 10],
        [11, 9],
      ],
    );
    assert.ok(readAll(scene).equals(patternAt(0, 20 * PAGE_BYTES)));
    assert.equal(requests.length, 2, 'cached by now');
    assert.equal(scene.space.missAt(0, 20 * PAGE_BYTES), -1);
    scene.finish();
  });

  it('go on after short reads, and are zeros where the disk has nothing yet', () => {
    const scene = createFileScene({}, patternAt(0, 5 * PAGE_BYTES));
    scene.io.plan = (request) => (request.op === 'read' ? { kind: 'short', bytes: 1000 } : undefined);
    scene.space.truncate(8 * PAGE_BYTES);
    const expected = new Uint8Array(8 * PAGE_BYTES);
    expected.set(patternAt(0, 5 * PAGE_BYTES));
    assert.ok(readAll(scene).equals(expected));
    scene.finish();
  });

  it('tell where they are, for those who fill asynchronously', async () => {
    const scene = createFileScene({}, patternAt(0, 6 * PAGE_BYTES));
    assert.equal(scene.space.missAt(100, 10), 100);
    await scene.space.fillAsync(0, 2, 1);
    assert.equal(scene.space.missAt(100, 4 * PAGE_BYTES), 2 * PAGE_BYTES);
    assert.equal(scene.space.missAt(0, 2 * PAGE_BYTES), -1);
    assert.equal(scene.space.missAt(7 * PAGE_BYTES, 10), -1, 'behind the end nothing is missing');
    await scene.space.fillAsync(0, 100, 9);
    assert.equal(scene.space.missAt(0, 6 * PAGE_BYTES), -1);
    assert.deepEqual(ordersOf(scene, 6), [1, 1, 1]);
    assert.ok(readAll(scene).equals(patternAt(0, 6 * PAGE_BYTES)));
    scene.finish();
  });

  it('use what the planner says', () => {
    const asked: number[][] = [];
    const readahead = {
      onMiss: (position: number, length: number, size: number) => {
        asked.push([position, length, size]);
        return { start: Math.floor(position / PAGE_BYTES), pages: 8, order: 2 };
      },
    };
    const scene = createFileScene({}, patternAt(0, 16 * PAGE_BYTES), { readahead });
    const target = new Uint8Array(100);
    scene.space.read(0, target, 0, 100);
    assert.deepEqual(asked, [[0, 100, 16 * PAGE_BYTES]]);
    assert.deepEqual(ordersOf(scene, 9), [2, 2, -1]);
    scene.finish();
  });
});

describe('memory that is full', () => {
  it('clean pages make room, dirty ones are written by direct reclaim', () => {
    const scene = createFileScene({ bytes: 3 * MIB });
    let batches = 0;
    scene.instance.memory.writeBack = () => {
      batches++;
      return scene.writeSome();
    };
    const data = patternAt(0, MIB);
    for (let i = 0; i < 6; i++) assert.equal(scene.space.write(i * MIB, data, 0, MIB), MIB);
    assert.ok(batches > 0);
    const target = new Uint8Array(MIB);
    for (let i = 0; i < 6; i++) {
      assert.equal(scene.space.read(i * MIB, target, 0, MIB), MIB);
      assert.ok(Buffer.from(target).equals(data));
    }
    scene.finish();
  });

  it('of dirty pages that cannot be written: the write ends short or throws, and nothing acknowledged is lost', () => {
    const scene = createFileScene({ bytes: 3 * MIB, hasSwap: false });
    scene.io.fail('write', 'ENOSPC');
    scene.instance.memory.writeBack = () => scene.writeSome();
    const data = patternAt(0, 4 * MIB);
    const written = scene.space.write(0, data, 0, data.length);
    assert.ok(written > MIB && written < 4 * MIB && written % PAGE_BYTES === 0, `${written}`);
    assert.throws(() => scene.space.write(written, data, 0, PAGE_BYTES), { code: 'ERR_QUIRE_OUT_OF_MEMORY' });
    assert.equal(scene.space.size(), written);
    scene.check();
    scene.io.heal();
    assert.ok(scene.flush());
    assert.ok(Buffer.from(scene.io.bytes(FD)).equals(data.subarray(0, written)));
    scene.finish();
  });

  it('eviction keeps what is used, and frees the leaf with its last page', () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    readAll(scene);
    const { words } = scene.instance.node;
    const leaf = leafOf(scene);
    assert.equal(words[leaf + L.FL_PRESENT], 4);
    assert.ok(isUptodate(scene.instance.node, leaf, 0, 4));
    const tables = words[L.H_TABLE_FRAMES];
    evictAll(scene);
    assert.equal(leafOf(scene), 0);
    assert.equal(words[L.H_TABLE_FRAMES], tables - 1);
    assert.ok(readAll(scene).equals(patternAt(0, 4 * PAGE_BYTES)));
    scene.finish();
  });
});

describe('a handle', () => {
  it('calls for balance after each write, and every 2 MiB of a long one', () => {
    let calls = 0;
    const balance = (): void => {
      calls++;
    };
    const scene = createFileScene({ bytes: 16 * MIB }, new Uint8Array(0), { balance });
    scene.space.write(0, patternAt(0, 10), 0, 10);
    assert.equal(calls, 1);
    scene.space.write(0, patternAt(0, 5 * MIB), 0, 5 * MIB);
    assert.equal(calls, 4);
    scene.space.append(patternAt(0, 10), 0, 10);
    assert.equal(calls, 5);
    scene.finish();
  });

  it('is of no use once it is closed, or the instance failed', async () => {
    const scene = createFileScene({}, patternAt(0, 100));
    scene.space.close();
    const bytes = new Uint8Array(4);
    const closed = { code: 'ERR_QUIRE_CLOSED' };
    assert.throws(() => scene.space.read(0, bytes, 0, 4), closed);
    assert.throws(() => scene.space.write(0, bytes, 0, 4), closed);
    assert.throws(() => scene.space.append(bytes, 0, 4), closed);
    assert.throws(() => scene.space.truncate(0), closed);
    assert.throws(() => scene.space.pin(0, 4), closed);
    assert.throws(() => scene.space.fill(0, 1, 0), closed);
    await assert.rejects(scene.space.fillAsync(0, 1, 0), closed);
    scene.finish();
  });
});
