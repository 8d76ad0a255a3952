/** Each way to the disk, with each thing a disk may do: nothing that was acknowledged is lost, an error arrives once, memory stays valid. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as L from '../arena/layout.ts';
import { KIB, MIB } from '../base/units.ts';
import { Random } from '../simulator/random.ts';
import { checkEmpty, checkNode } from '../vm/instance-check.ts';
import { Daemons } from './daemons.ts';
import { FileWork } from './file-work.ts';
import type { Shape } from './shape.ts';
import { type Handle, World } from './world.ts';

const CODES = ['EIO', 'ENOSPC'] as const;

interface Scene {
  readonly world: World;
  readonly work: FileWork;
  readonly daemons: Daemons;
  readonly random: Random;
  /** Two handles on one file, of two threads. */
  readonly first: Handle;
  readonly second: Handle;
  /** Everything out of memory, so that the next read goes to the disk. */
  evict(): void;
  /** Closes everything; the file is compared once more and every frame must be back. */
  finish(): void;
}

function createScene(changes: Partial<Shape> = {}, interrupt: (scene: Scene) => void = () => undefined): Scene {
  const shape: Shape = {
    budgetBytes: 4 * MIB,
    nodes: 1,
    hasSwap: false,
    threads: 2,
    files: 1,
    fileBytesMax: 16 * MIB,
    baseBytes: 0,
    ballastPages: 0,
    lengthMax: MIB,
    faults: { read: 0, write: 0, short: 0, slow: 0 },
    preemptEvery: 0,
    policy: 'stocked',
    dirty: { dirtyRatio: 100, dirtyBackgroundRatio: 99 },
    ...changes,
  };
  const random = new Random(7);
  let scene: Scene;
  const world = new World(random, shape, () => interrupt(scene));
  const work = new FileWork(world);
  const daemons = new Daemons(world);
  const [first, second] = world.threads.map((thread) => work.open(world.files[0], thread)) as Handle[];
  const check = (): void => {
    for (const node of world.nodes) checkNode(node);
  };
  const evict = (): void => {
    for (let round = 0; round < 200; round++) daemons.reclaim(world.threads[1], new Random(round));
    check();
  };
  const finish = (): void => {
    check();
    daemons.stop();
    for (const thread of world.threads) {
      while (thread.handles.length > 0) work.close(thread.handles[0]);
      world.ballast.close(thread);
      thread.logical.leave();
    }
    for (const node of world.nodes) checkEmpty(node);
  };
  scene = { world, work, daemons, random, first, second, evict, finish };
  return scene;
}

/** A file of `length` bytes on the disk, nothing of it cached. */
function fill({ work, first, evict, random }: Scene, length: number): void {
  work.write(first, { position: 0, length }, random);
  work.sync(first);
  evict();
}

for (const code of CODES) {
  test(`${code} on a read miss: the read fails, the next one does not`, () => {
    const scene = createScene();
    const { world, work, first } = scene;
    fill(scene, 300_000);
    assert.ok(first.file.missAt(0, 300_000) >= 0, 'something was evicted');
    const position = first.file.missAt(0, 300_000);
    world.disk.due.read.push(code, code);
    assert.throws(() => first.file.read(position, new Uint8Array(100), 0, 100), { code: 'ERR_QUIRE_IO' });
    world.disk.due.read.length = 0;
    work.read(first, { position, length: 100 });
    work.read(first, { position: 0, length: 300_000 });
    scene.finish();
  });

  test(`${code} while reading ahead: whoever wants the bytes reads them again`, async () => {
    const scene = createScene();
    const { world, work, first } = scene;
    fill(scene, 300_000);
    const position = Math.floor(first.file.missAt(0, 300_000) / 4096) * 4096;
    world.disk.due.read.push(code, code);
    const refused = assert.rejects(first.file.fillAsync(position, 1, 0), { code: 'ERR_QUIRE_IO' });
    while (world.disk.pending.length > 0) {
      world.disk.deliver();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await refused;
    world.disk.due.read.length = 0;
    work.read(first, { position: 0, length: 300_000 });
    scene.finish();
  });

  test(`${code} on the read that a partial write needs: nothing is written`, () => {
    const scene = createScene();
    const { world, work, first, second, random } = scene;
    fill(scene, 100_000);
    const position = first.file.missAt(0, 100_000) + 100;
    world.disk.due.read.push(code);
    assert.throws(() => first.file.write(position, new Uint8Array(50), 0, 50), { code: 'ERR_QUIRE_IO' });
    work.read(second, { position: 0, length: 100_000 });
    work.write(first, { position, length: 50 }, random);
    work.read(second, { position: 0, length: 100_000 });
    scene.finish();
  });

  test(`${code} in writeback: both handles hear of it once, the bytes stay and are written later`, () => {
    const scene = createScene();
    const { world, work, first, second, daemons, random } = scene;
    work.write(first, { position: 1000, length: 200_000 }, random);
    world.disk.due.write.push(code);
    world.disk.nowMs += 60_000;
    for (let step = 0; step < 10; step++) daemons.flush(world.threads[1], random);
    assert.equal(world.files[0].model.errors, 1, 'the flusher met it');
    work.read(second, { position: 0, length: 201_000 });
    assert.throws(() => first.file.sync(), { code: 'ERR_QUIRE_IO' });
    first.file.sync();
    assert.throws(() => second.file.sync(), { code: 'ERR_QUIRE_IO' });
    second.file.sync();
    work.compareDisk(world.files[0]);
    world.files[0].model.isErrorSeen = true;
    first.seenErrors = second.seenErrors = 1;
    scene.finish();
  });

  test(`${code} in a sync, on the file and on the flush of the device`, () => {
    const scene = createScene();
    const { world, work, first, second, random } = scene;
    for (const kind of ['write', 'flush'] as const) {
      work.write(first, { position: 5000, length: 9000 }, random);
      world.disk.due[kind].push(code);
      assert.equal(work.sync(first), false, kind);
      assert.equal(work.sync(first), true, kind);
      assert.equal(work.sync(second), false, kind);
      assert.equal(work.sync(second), true, kind);
      work.read(second, { position: 0, length: 14_000 });
    }
    scene.finish();
  });

  test(`${code} on truncate, shorter and longer: the file is what it was`, () => {
    const scene = createScene();
    const { world, work, first, second, random } = scene;
    work.write(first, { position: 0, length: 50_000 }, random);
    for (const size of [10_001, 90_000]) {
      world.disk.due.truncate.push(code);
      assert.throws(() => first.file.truncate(size), { code: 'ERR_QUIRE_IO' });
      work.read(second, { position: 0, length: 60_000 });
      work.truncate(first, size);
      work.read(second, { position: 0, length: 100_000 });
    }
    scene.finish();
  });

  test(`${code} while the last handle closes: it stays open with its bytes, and closes when the disk takes them`, () => {
    const scene = createScene();
    const { world, work, first, second, random } = scene;
    work.close(second);
    work.write(first, { position: 0, length: 70_000 }, random);
    world.files[0].disk.broken = code;
    work.close(first);
    assert.equal(world.files[0].handles.length, 1, 'still open');
    work.read(first, { position: 0, length: 70_000 });
    world.files[0].disk.broken = undefined;
    scene.finish();
  });

  test(`${code} for good, memory full of dirty pages: writes are refused, none that was taken is lost`, () => {
    const scene = createScene();
    const { world, work, first, second, random } = scene;
    const plan = world.files[0];
    plan.disk.broken = code;
    for (let at = 0; at < 8 * MIB; at += 64 * KIB) work.write(first, { position: at, length: 64 * KIB }, random);
    assert.ok(world.refused > 0, 'memory became full');
    assert.ok(plan.model.size > MIB, `only ${plan.model.size} bytes were taken`);
    work.read(second, { position: 0, length: plan.model.size });
    plan.disk.broken = undefined;
    world.disk.nowMs += 60_000;
    const { refused } = world;
    for (let at = 0; at < 8 * MIB; at += 64 * KIB) work.write(first, { position: at, length: 64 * KIB }, random);
    assert.equal(world.refused, refused, 'with a disk that works there is room');
    scene.finish();
  });
}

test('memory full of dirty pages and a disk that works: every write finds room', () => {
  const scene = createScene();
  const { world, work, first, second, random } = scene;
  for (let at = 0; at < 12 * MIB; at += 100_000) work.write(first, { position: at, length: 100_000 }, random);
  assert.equal(world.refused, 0);
  for (let at = 0; at < 12 * MIB; at += 500_000) work.read(second, { position: at, length: 500_000 });
  scene.finish();
});

test('short reads and writes, one in one: everything arrives', () => {
  const scene = createScene({ faults: { read: 0, write: 0, short: 1, slow: 0 } });
  const { work, first, second, evict, random } = scene;
  for (let round = 0; round < 20; round++) {
    work.write(first, { position: random.below(500_000), length: random.between(1, 90_000) }, random);
    work.sync(second);
    evict();
    work.read(second, { position: random.below(500_000), length: 90_000 });
  }
  scene.finish();
});

test('a slow disk: others read and write the file in the middle of a miss and of writeback', () => {
  let runs = 0;
  let mayRun = false;
  const others = ({ world, work, second, random }: Scene): void => {
    if (!mayRun || world.depth > 0 || ++runs % 3 === 0) return;
    world.depth++;
    world.nested++;
    // Nobody holds the inode lock during a miss or writeback; during the read of a partial write somebody does.
    if (Atomics.load(second.file.inode, L.I_LOCK) === 0) {
      work.read(second, { position: random.below(300_000), length: 5000 });
      work.write(second, { position: random.below(300_000), length: 5000 }, random);
    }
    world.depth--;
  };
  const scene = createScene({ faults: { read: 0, write: 0, short: 0.3, slow: 1 } }, others);
  const { work, first, evict, random } = scene;
  for (let round = 0; round < 60; round++) {
    mayRun = true;
    work.write(first, { position: random.below(300_000), length: random.between(1, 60_000) }, random);
    if (round % 3 === 0) work.sync(first);
    work.read(first, { position: random.below(300_000), length: 60_000 });
    mayRun = false;
    if (round % 5 === 0) evict();
  }
  assert.ok(runs > 50, `${runs} interruptions`);
  scene.finish();
});
