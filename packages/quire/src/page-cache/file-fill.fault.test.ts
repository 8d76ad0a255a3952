/** What comes between the reading of a page and its publication, and disks that fail. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { createFileScene, evictAll, FD, type FileScene, patternAt, readAll } from './testing/file-scene.ts';

describe('what overtakes a fill', () => {
  /** Starts reading page 0 asynchronously; `meanwhile` runs when the bytes are read and not published yet. */
  async function overtaken(scene: FileScene, meanwhile: () => void): Promise<void> {
    let isDone = false;
    scene.io.during = (request) => {
      if (request.op !== 'read' || isDone) return;
      isDone = true;
      meanwhile();
    };
    await scene.space.fillAsync(0, 1, 0);
    assert.ok(isDone);
    scene.io.during = undefined;
  }

  it('a write that is cached: its bytes stay', async () => {
    const scene = createFileScene({}, patternAt(0, PAGE_BYTES));
    await overtaken(scene, () => scene.space.write(0, patternAt(0, PAGE_BYTES, 5), 0, PAGE_BYTES));
    assert.ok(readAll(scene).equals(patternAt(0, PAGE_BYTES, 5)));
    scene.finish();
  });

  it('a write, written back and evicted: the old bytes are not published', async () => {
    const scene = createFileScene({}, patternAt(0, PAGE_BYTES));
    await overtaken(scene, () => {
      scene.space.write(0, patternAt(0, PAGE_BYTES, 5), 0, PAGE_BYTES);
      assert.ok(scene.flush());
      evictAll(scene);
    });
    assert.ok(readAll(scene).equals(patternAt(0, PAGE_BYTES, 5)));
    scene.finish();
  });

  it('a truncate, and the file grows again: zeros', async () => {
    const scene = createFileScene({}, patternAt(0, PAGE_BYTES));
    await overtaken(scene, () => {
      scene.space.truncate(10);
      scene.space.truncate(PAGE_BYTES);
    });
    const expected = new Uint8Array(PAGE_BYTES);
    expected.set(patternAt(0, 10));
    assert.ok(readAll(scene).equals(expected));
    scene.finish();
  });

  for (const way of ['fill', 'fillAsync'] as const) {
    it(`writeback of other pages, again and again, does not hold it up for ever (${way})`, async () => {
      const scene = createFileScene({}, patternAt(0, 8 * PAGE_BYTES));
      let reads = 0;
      scene.io.during = (request) => {
        if (request.op !== 'read' || ++reads > 100) return;
        if (scene.space.inode[L.I_DIRTY_PAGES] === 0) {
          scene.space.write(7 * PAGE_BYTES, patternAt(0, PAGE_BYTES, reads), 0, PAGE_BYTES);
        }
        scene.writeSome();
      };
      await scene.space[way](0, 4, 0);
      assert.ok(reads <= 20, `${reads} reads`);
      scene.io.during = undefined;
      assert.ok(
        readAll(scene)
          .subarray(0, 7 * PAGE_BYTES)
          .equals(patternAt(0, 7 * PAGE_BYTES)),
      );
      assert.ok(scene.flush());
      scene.finish();
    });
  }

  it('another fill: one of them is published, no frame is lost', async () => {
    const scene = createFileScene({}, patternAt(0, 8 * PAGE_BYTES));
    await Promise.all([scene.space.fillAsync(0, 8, 2), scene.space.fillAsync(0, 8, 3), scene.space.fillAsync(2, 4, 0)]);
    assert.ok(readAll(scene).equals(patternAt(0, 8 * PAGE_BYTES)));
    scene.finish();
  });
});

describe('a disk that fails', () => {
  it('a read of nothing else throws, a read of more returns what came before', () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    const bad = 2 * PAGE_BYTES;
    scene.io.plan = ({ op, position, length }) =>
      op === 'read' && position <= bad && position + length > bad ? { kind: 'error', code: 'EIO' } : undefined;
    const target = new Uint8Array(4 * PAGE_BYTES);
    assert.equal(scene.space.read(0, target, 0, target.length), bad);
    assert.deepEqual(target.subarray(0, bad), patternAt(0, bad));
    assert.throws(
      () => scene.space.read(bad + 5, target, 0, 10),
      (error: Error & { code?: string; cause?: { code?: string } }) => {
        assert.equal(error.code, 'ERR_QUIRE_IO');
        assert.equal(error.cause?.code, 'EIO');
        return true;
      },
    );
    assert.equal(scene.space.read(3 * PAGE_BYTES, target, 0, PAGE_BYTES), PAGE_BYTES, 'pages behind it can be read');
    scene.io.heal();
    assert.ok(readAll(scene).equals(patternAt(0, 4 * PAGE_BYTES)));
    scene.finish();
  });

  it('an asynchronous fill fails with the page that is wanted, and keeps those it could read', async () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    scene.io.plan = ({ op, position, length }) =>
      op === 'read' && position + length > 2 * PAGE_BYTES ? { kind: 'error', code: 'EIO' } : undefined;
    await assert.rejects(scene.space.fillAsync(0, 4, 2), { code: 'ERR_QUIRE_IO' });
    assert.equal(scene.space.missAt(0, 4 * PAGE_BYTES), 2 * PAGE_BYTES);
    scene.finish();
  });

  it('a write whose first block cannot be read changes nothing; a later one ends the write short', () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    scene.io.fail('read', 'EIO');
    assert.throws(() => scene.space.write(1, patternAt(0, 2 * PAGE_BYTES, 9), 0, 2 * PAGE_BYTES), {
      code: 'ERR_QUIRE_IO',
    });
    // From a block's start on, the first folio needs nothing of the disk.
    const data = patternAt(0, PAGE_BYTES + 100, 9);
    assert.equal(scene.space.write(0, data, 0, data.length), PAGE_BYTES);
    scene.io.heal();
    const expected = patternAt(0, 4 * PAGE_BYTES);
    expected.set(data.subarray(0, PAGE_BYTES));
    assert.ok(readAll(scene).equals(expected));
    assert.equal(scene.space.size(), 4 * PAGE_BYTES);
    scene.finish();
  });

  it('a truncate that the system refuses changes nothing', () => {
    const scene = createFileScene({}, patternAt(0, 5000));
    scene.io.fail('truncate', 'EIO');
    assert.throws(() => scene.space.truncate(100), { code: 'ERR_QUIRE_IO' });
    assert.throws(() => scene.space.truncate(10_000), { code: 'ERR_QUIRE_IO' });
    assert.ok(readAll(scene).equals(patternAt(0, 5000)));
    scene.finish();
  });

  it('what could not be written is dirty and readable, and written later', () => {
    const scene = createFileScene({}, patternAt(0, 5000));
    scene.space.write(0, patternAt(0, 3000, 3), 0, 3000);
    scene.io.fail('write', 'ENOSPC');
    assert.equal(scene.flush(), false);
    scene.check();
    assert.equal(scene.instance.node.words[L.H_PC_DIRTY], 1);
    assert.ok(
      readAll(scene)
        .subarray(0, 3000)
        .equals(patternAt(0, 3000, 3)),
    );
    scene.io.heal();
    assert.ok(scene.flush());
    assert.ok(Buffer.from(scene.io.bytes(FD).subarray(0, 3000)).equals(patternAt(0, 3000, 3)));
    scene.finish();
  });
});
