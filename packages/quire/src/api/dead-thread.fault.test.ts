/**
 * Attached workers that end without close(): terminated in the middle of whatever they do, exited, failed. The others go on,
 * everything the dead held comes back, and nothing is reported as left when the owner closes.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import type { Worker } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import type { QuireError } from '../base/errors.ts';
import { nodeTasks } from '../daemons/node-tasks.ts';
import { makePage } from '../testing/page-data.ts';
import type { Memory } from '../vm/memory.ts';
import { liveThreads } from '../vm/thread-slot.ts';
import { Quire } from './quire.ts';
import type { QuireFile } from './quire-file.ts';
import { withCode } from './testing/expect-code.ts';
import { FileFolder } from './testing/file-folder.ts';
import { startVictim } from './testing/victim.ts';

const MIB = 2 ** 20;
const FAILED = 'ERR_QUIRE_FAILED';
const PAGES = 3000;

const folder = new FileFolder();
after(() => folder.remove());

function homeOf(quire: Quire): Int32Array {
  return (quire as unknown as { memory: Memory }).memory.nodes[0].words;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (condition()) return;
    await pause(10);
  }
  assert.fail(`${what} did not happen`);
}

/** It died inside a node lock, where it may be half way through anything: the whole instance says so, and nothing else is accepted. */
function isFailed(quire: Quire): boolean {
  return Atomics.load(homeOf(quire), L.H_STATE) === L.STATE_FAILED;
}

/** Until only `threads` are attached, or the instance has failed because of how the thread died. */
async function buried(quire: Quire, threads: number): Promise<boolean> {
  await until('the burial', () => isFailed(quire) || quire.stats().threads === threads);
  if (isFailed(quire)) assert.throws(() => quire.stats(), withCode(FAILED));
  return !isFailed(quire);
}

describe('the system knows its threads', () => {
  it('the calling one lives, one that never was does not', () => {
    const { task, start, process, worker } = nodeTasks.self();
    assert.ok(task > 0 && process > 0 && worker === 0);
    assert.equal(nodeTasks.isAlive(task, start, process), true);
    assert.equal(nodeTasks.isAlive(task, start + 1, process), false, 'another thread with its number');
    assert.equal(nodeTasks.isAlive(2 ** 30, start, process), false);
    assert.equal(nodeTasks.isAlive(2 ** 30, start, process + 2), true, 'noted by another process');
  });
});

/** Tells the worker to end itself. */
function ended(worker: Worker): Promise<unknown> {
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  worker.postMessage('end');
  return exited;
}

const ENDINGS: Record<string, { readonly body: string; end(worker: Worker): Promise<unknown> }> = {
  'is terminated': { body: 'say();', end: (worker) => worker.terminate() },
  'calls process.exit': {
    body: `parentPort.once('message', () => process.exit(3)); say();`,
    end: (worker) => ended(worker),
  },
  'throws what nobody catches': {
    body: `parentPort.once('message', () => { throw new Error('for the test'); }); say();`,
    end: (worker) => ended(worker),
  },
};

describe('a worker that ends without close()', () => {
  for (const threads of [0, 1]) {
    for (const [how, { body, end }] of Object.entries(ENDINGS)) {
      it(`${how}, with ${threads} daemons: slot, pins, I/O buffer and regions come back`, async () => {
        const quire = await Quire.open({ budget: '16MiB', threads });
        const kept = quire.region({ size: 8 * MIB, name: 'kept' });
        for (let page = 0; page < 600; page++) kept.write(page * 4096, makePage(page, 'noise'));
        const before = quire.stats();
        const worker = await startVictim(
          quire.handle,
          `const kept = quire.region({ size: ${8 * MIB}, name: 'kept' });
           const own = quire.region({ size: ${8 * MIB} });
           own.fill(0, ${4 * MIB}, 7);
           globalThis.held = [kept.pin(0, 4096), kept.pin(4096, 100 * 4096), own.pin(0, ${2 * MIB}), quire.ioBuffer(65536)];
           quire.map().set('key', new Uint8Array(100));
           ${body}`,
        );
        assert.equal(quire.stats().threads, before.threads + 1);
        await end(worker);
        assert.ok(await buried(quire, before.threads), 'asleep it holds no lock');
        const { nodes } = (quire as unknown as { memory: Memory }).memory;
        for (const node of nodes) {
          for (let pfn = node.firstFree; pfn < node.frames; pfn++)
            assert.ok(node.words[node.pinAt + pfn] <= 0, `pin ${pfn}`);
        }
        assert.equal(Atomics.load(homeOf(quire), L.H_PSI_THREADS), 1);
        assert.equal(
          quire.stats().nr_anon_pages + quire.stats().swap_slots_used <= 600,
          true,
          'its own region is gone',
        );
        const got = new Uint8Array(4096);
        for (let page = 0; page < 600; page++) {
          kept.read(page * 4096, got);
          assert.equal(Buffer.compare(got, makePage(page, 'noise')), 0, `page ${page}`);
        }
        kept.close();
        const fresh = quire.region({ size: 8 * MIB, name: 'kept' });
        fresh.read(0, got);
        assert.ok(
          got.every((byte) => byte === 0),
          'the dead does not hold its name',
        );
        await quire.close();
      });
    }
  }

  it('a moment before the owner closes: nothing is missing then', async () => {
    for (const threads of [0, 1]) {
      const quire = await Quire.open({ budget: '16MiB', threads });
      const path = folder.newPath(new Uint8Array(50_000));
      const body = `
        const group = quire.group('of the dead', { limit: '4MiB' });
        const region = quire.region({ size: ${MIB}, group: 'of the dead' });
        globalThis.held = [region.pin(0, 300_000), quire.ioBuffer(5000)];
        const file = await quire.openFile(path, 'r+');
        file.writeSync(new Uint8Array(9).fill(1), 0, 9, 0);
        held.push(file.pin(8000, 9000));
        say();`;
      const worker = await startVictim(quire.handle, body, path);
      const { nodes } = (quire as unknown as { memory: Memory }).memory;
      await worker.terminate();
      await quire.close();
      assert.equal(liveThreads(nodes[0]), 0);
      assert.equal(readFileSync(path)[8], 1, 'what it wrote is written back');
    }
  });

  it('two hundred threads, more than there are slots, and no time for anybody to look', async () => {
    const quire = await Quire.open({ budget: '32MiB', threads: 1 });
    quire.region({ size: MIB, name: 'shared' });
    const body = `
      globalThis.all = Array.from({ length: 40 }, () => Quire.attach(handle));
      for (const each of all) each.region({ size: ${MIB}, name: 'shared' }).pin(0, 4096);
      say();`;
    for (let i = 0; i < 5; i++) await (await startVictim(quire.handle, body)).terminate();
    assert.ok(await buried(quire, 2));
    assert.equal(quire.stats().threads_buried, 205, 'with the five that came first in each worker');
    await quire.close();
  });
});

/** What the dead were doing, each in an endless loop, at more than the memory. */
const WORK: Record<string, string> = {
  'writing pages': `
    const own = quire.region({ size: ${32 * MIB} });
    for (let i = 0; ; i++) { own.write(i % 1500 * 4096, makePage(i % 999, 'text')); if (i === 500) say(); }`,
  'reading pages, of another too': `
    const own = quire.region({ size: ${32 * MIB} });
    const seen = quire.region({ size: ${16 * MIB}, name: 'watched' });
    const got = new Uint8Array(4096);
    for (let i = 0; i < 1500; i++) own.write(i * 4096, makePage(i, 'text'));
    say();
    for (let i = 0; ; i++) { own.read(i * 7 % 1500 * 4096, got); seen.read(i * 5 % ${PAGES} * 4096, got); }`,
  'pinning and giving back, with I/O buffers': `
    const own = quire.region({ size: ${16 * MIB} });
    for (let i = 0; i < 20; i++) quire.ioBuffer(4096 << i % 4);
    const pins = [];
    for (let i = 0; ; i++) {
      pins.push(own.pin(i % 30 * 65536, 65536));
      pins.at(-1).bytes[5] = i;
      if (i % 25 === 24) for (const pin of pins.splice(0)) pin.release();
      if (i === 60) say();
    }`,
  'changing a map': `
    const map = quire.map({ name: 'shared', value: 'utf8' });
    for (let i = 0; ; i++) { map.set('key' + i % 3000, 'v'.repeat(i * 37 % 600)); if (i % 5 === 0) map.delete('key' + i * 3 % 3000); if (i === 500) say(); }`,
  'writing a file': `
    const file = await quire.openFile(path, 'r+');
    const bytes = new Uint8Array(20000).fill(5);
    for (let i = 0; ; i++) { file.writeSync(bytes, 0, bytes.length, i * 12345 % ${4 * MIB}); if (i === 50) say(); }`,
  'waiting for reads of a file': `
    const file = await quire.openFile(path, 'r');
    say();
    for (let i = 0; ; i++) await Promise.all([0, 1, 2, 3].map((j) => file.read(new Uint8Array(50000), 0, 50000, (i * 4 + j) * 54321 % ${4 * MIB})));`,
};

describe('a worker terminated at work', () => {
  for (const [what, body] of Object.entries(WORK)) {
    it(`${what}: others go on, nothing of theirs is touched, all comes back; or the instance says that it failed`, async () => {
      const path = folder.newPath(new Uint8Array(4 * MIB).fill(9));
      for (let round = 0; round < 3; round++) await playRound(path, body, round);
    });
  }
});

async function playRound(path: string, body: string, round: number): Promise<void> {
  const quire = await Quire.open({ budget: '16MiB', threads: round % 2 });
  try {
    const watched = quire.region({ size: 16 * MIB, name: 'watched' });
    for (let page = 0; page < PAGES; page++) watched.write(page * 4096, makePage(page, 'text'));
    const worker = await startVictim(quire.handle, body, path);
    await pause(round * 7);
    await worker.terminate();
    if (!(await buried(quire, 1 + (round % 2)))) return;
    assert.equal(Atomics.load(homeOf(quire), L.H_PSI_THREADS), 1);
    assert.equal(Atomics.load(homeOf(quire), L.H_PSI_STALLED), 0);
    const got = new Uint8Array(4096);
    for (let page = 0; page < PAGES; page++) {
      watched.read(page * 4096, got);
      assert.equal(Buffer.compare(got, makePage(page, 'text')), 0, `page ${page}`);
      watched.write(page * 4096, makePage(page + 1, 'text'));
    }
    useMap(quire);
    await useFile(quire, path);
  } finally {
    await quire.close();
  }
}

/** The lock's holder is dead, and that is what the error says: nobody has waited until it was too long. */
function saysDied(error: unknown): boolean {
  assert.match(String((error as Error).message), /died/);
  return withCode(FAILED)(error);
}

/** Keys of a lock that the dead had are refused; the others are not. Returns how many of 500 were. */
function useMap(quire: Quire): number {
  const map = quire.map<string, string>({ name: 'shared', value: 'utf8' });
  let refused = 0;
  for (let i = 0; i < 500; i++) {
    try {
      map.set(`mine${i}`, 'mine');
      assert.equal(map.get(`mine${i}`), 'mine');
    } catch (error) {
      saysDied(error);
      refused++;
    }
  }
  map.close();
  return refused;
}

/** Either the file can be used as ever, or the dead was writing to it: then it says so. */
async function useFile(quire: Quire, path: string): Promise<void> {
  try {
    const file = await quire.openFile(path, 'r+');
    await file.write(new Uint8Array(100).fill(8), 0, 100, 50);
    const got = new Uint8Array(100);
    await file.read(got, 0, 100, 50);
    assert.ok(got.every((byte) => byte === 8));
    await file.close();
  } catch (error) {
    saysDied(error);
  }
}

/** Ten bytes at 5, written and acknowledged; then the victim has the file's inode lock. */
const WRITES_AND_LOCKS = `const file = await quire.openFile(path, 'r+');
  file.writeSync(new Uint8Array(10).fill(7), 0, 10, 5);
  const [[, { space }]] = quire.files.open;
  Atomics.store(space.inode, ${L.I_LOCK}, quire.memory.nodes[0].thread);
  say();`;

/** Who buries takes the file's name away last of all, in a thread of its own: until then an open is refused. */
async function openAnew(quire: Quire, path: string): Promise<QuireFile> {
  for (let turn = 0; ; turn++) {
    try {
      return await quire.openFile(path, 'r+');
    } catch (error) {
      assert.ok(saysDied(error) && turn < 1000, String(error));
      await pause(10);
    }
  }
}

/** The file can be opened anew, has what WRITES_AND_LOCKS wrote, and takes writes. */
async function expectWritten(quire: Quire, path: string): Promise<void> {
  const file = await openAnew(quire, path);
  const got = new Uint8Array(16);
  file.readSync(got, 0, 16, 0);
  assert.deepEqual([...got], [0, 0, 0, 0, 0, ...new Array(10).fill(7), 0]);
  file.writeSync(new Uint8Array(3).fill(8), 0, 3, 0);
  await file.close();
  assert.deepEqual([...readFileSync(path).subarray(0, 6)], [8, 8, 8, 0, 0, 7]);
}

describe('a thread that dies with a lock', () => {
  it('of a map: its keys are refused, the other 63 in 64 are not, and a new map is whole', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const map = quire.map<string, string>({ name: 'shared', value: 'utf8' });
    const worker = await startVictim(
      quire.handle,
      `const map = quire.byteMap({ name: 'shared' }); map.core.locks.lockStripe(9); say();`,
    );
    await worker.terminate();
    const refused = useMap(quire);
    assert.ok(refused > 0 && refused < 50, `${refused} of 500 keys`);
    assert.equal(useMap(quire), refused, 'the same ones again');
    assert.ok(await buried(quire, 1));
    map.close();
    assert.equal(useMap(quire), 0, 'the dead does not keep its map');
    await quire.close();
  });

  it('that lets a map grow: no key is refused, and another thread goes on with the growth', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const map = quire.map<string, number>({ name: 'shared', value: 'json' });
    const worker = await startVictim(
      quire.handle,
      `const map = quire.byteMap({ name: 'shared' }); map.core.locks.lockGrowth(); say();`,
    );
    await worker.terminate();
    for (let i = 0; i < 4000; i++) map.set(`key${i}`, i);
    for (let i = 0; i < 4000; i++) assert.equal(map.get(`key${i}`), i);
    assert.ok(quire.byteMap({ name: 'shared' }).buckets > 700);
    map.clear();
    assert.equal(map.size, 0);
    await quire.close();
  });

  it('of a file: it is read and written back, but not written; other files are, and this one once all have closed it', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 1 });
    const path = folder.newPath(new Uint8Array(100_000).fill(9));
    const file = await quire.openFile(path, 'r+');
    file.writeSync(new Uint8Array(10).fill(7), 0, 10, 5);
    const worker = await startVictim(
      quire.handle,
      `const file = await quire.openFile(path, 'r+');
       const [[, { space }]] = quire.files.open;
       Atomics.store(space.inode, ${L.I_LOCK}, quire.memory.nodes[0].thread);
       say();`,
      path,
    );
    await worker.terminate();
    assert.throws(() => file.writeSync(new Uint8Array(10), 0, 10, 0), saysDied);
    await assert.rejects(file.write(new Uint8Array(10), 0, 10, 0), saysDied);
    await assert.rejects(quire.openFile(path, 'r+'), saysDied);
    const got = new Uint8Array(20);
    assert.equal(file.readSync(got, 0, 20, 0), 20);
    assert.deepEqual([...got], [9, 9, 9, 9, 9, ...new Array(10).fill(7), 9, 9, 9, 9, 9]);
    await useFile(quire, folder.newPath(new Uint8Array(1000)));
    // With flusher and kcompactd.
    assert.ok(await buried(quire, 4));
    await file.close();
    assert.deepEqual([...readFileSync(path).subarray(0, 20)], [...got]);
    const again = await quire.openFile(path, 'r+');
    assert.equal(again.writeSync(new Uint8Array(10), 0, 10, 0), 10);
    await again.close();
    await quire.close();
  });

  it('of a file that nobody else has open: it can be opened anew, with all that was written before', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 1 });
    // Instances that failed above may have left some.
    const before = folder.descriptors();
    const path = folder.newPath(new Uint8Array(100));
    const worker = await startVictim(quire.handle, WRITES_AND_LOCKS, path);
    await worker.terminate();
    assert.ok(await buried(quire, 2));
    await expectWritten(quire, path);
    await quire.close();
    assert.equal(folder.descriptors(), before);
  });

  for (const threads of [0, 1]) {
    it(`of a file that is opened before anybody noticed: nothing written is lost, threads ${threads}`, async () => {
      const quire = await Quire.open({ budget: '16MiB', threads });
      const before = folder.descriptors();
      const path = folder.newPath(new Uint8Array(100));
      const worker = await startVictim(quire.handle, WRITES_AND_LOCKS, path);
      await worker.terminate();
      // The one that finds the writer dead is refused, unless kswapd was there first.
      const first = await quire.openFile(path, 'r+').catch((error: QuireError) => error);
      if (first instanceof Error) assert.equal(first.code, 'ERR_QUIRE_FAILED');
      else await first.close();
      await expectWritten(quire, path);
      await quire.close();
      assert.equal(folder.descriptors(), before);
    });
  }

  it('of a file that others have pinned to write: their pins and handles can be closed, with what they wrote', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 1 });
    const path = folder.newPath(new Uint8Array(5000));
    const file = await quire.openFile(path, 'r+');
    const pin = file.pin(0, 100);
    const worker = await startVictim(
      quire.handle,
      `const file = await quire.openFile(path, 'r+');
       const [[, { space }]] = quire.files.open;
       Atomics.store(space.inode, ${L.I_LOCK}, quire.memory.nodes[0].thread);
       say();`,
      path,
    );
    await worker.terminate();
    await until('the burial', () => quire.stats().threads_buried === 1);
    pin.bytes[7] = 9;
    pin.release();
    await file.close();
    assert.equal(readFileSync(path)[7], 9);
    const again = await quire.openFile(path, 'r+');
    again.writeSync(new Uint8Array(1).fill(8), 0, 1, 0);
    await again.close();
    await quire.close();
  });

  it('of writing back: whoever wants to goes on where it left off', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const path = folder.newPath(new Uint8Array(100));
    const file = await quire.openFile(path, 'r+');
    const worker = await startVictim(
      quire.handle,
      `const file = await quire.openFile(path, 'r+');
       const [[, { space }]] = quire.files.open;
       Atomics.store(space.inode, ${L.I_WB_LOCK}, quire.memory.nodes[0].thread);
       say();`,
      path,
    );
    file.writeSync(new Uint8Array(10).fill(7), 0, 10, 5);
    await worker.terminate();
    await file.truncate(12);
    await file.sync();
    assert.deepEqual([...readFileSync(path)], [0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7]);
    await file.close();
    await quire.close();
  });

  for (const threads of [0, 1]) {
    it(`of a node: the instance fails, for everybody, with ${threads} daemons`, async () => {
      const quire = await Quire.open({ budget: '16MiB', threads });
      const region = quire.region({ size: MIB });
      const worker = await startVictim(quire.handle, 'quire.memory.nodes[0].lock(); say();');
      await worker.terminate();
      assert.throws(() => region.fill(0, MIB, 1), withCode(FAILED));
      assert.throws(() => quire.stats(), withCode(FAILED));
      await quire.close();
    });
  }
});
