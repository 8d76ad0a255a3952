/** Threads that died, played step by step in one thread with tasks that the test ends: what the reaper gives back, and to whom. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { HOLDER_BURIED, HOLDER_LIVES, INSTANCE_LOST } from '../arena/node-lock.ts';
import type { Task, Tasks } from '../base/port.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { instantiateKernel } from '../codec/wasm-kernel.ts';
import { StallMeter } from '../reclaim/pressure.ts';
import { deviceAt } from '../swap/file-devices.ts';
import { createTestInstance, type TestInstance, testKernelModule } from '../testing/test-instance.ts';
import { viewNodes } from '../vm/instance.ts';
import { takeIoBlock } from '../vm/io-block.ts';
import { Memory } from '../vm/memory.ts';
import { pinRange } from '../vm/pin-range.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { closeRegion, openRegion, regionsInUse } from '../vm/region-table.ts';
import { attachThread, claimBurial, detachThread, liveThreads, taskOf } from '../vm/thread-slot.ts';
import { FileDevice } from './file-device.ts';
import { attachReaper, Reaper } from './reaper.ts';

/** Tasks that begin with each `self` and end when the test says so. */
class PlayedTasks implements Tasks {
  readonly alive = new Set<number>();
  asked = 0;
  private last = 100;
  /** Which process this is. */
  process = 7;
  onAsk: () => void = () => undefined;

  self(): Task {
    this.alive.add(++this.last);
    return { task: this.last, start: this.last * 3, process: this.process, worker: this.last };
  }

  isAlive(task: number, start: number, process: number): boolean {
    this.asked++;
    this.onAsk();
    return process !== this.process || (this.alive.has(task) && start === task * 3);
  }
}

interface Scene {
  readonly instance: TestInstance;
  readonly tasks: PlayedTasks;
  readonly reaper: Reaper;
  join(makeRoom?: boolean): { readonly memory: Memory; readonly thread: number };
}

function createScene(areas = 8): Scene {
  const instance = createTestInstance({ bytes: 12 * MIB, areas });
  const tasks = new PlayedTasks();
  const kernel = (memory: WebAssembly.Memory) => instantiateKernel(testKernelModule(), memory);
  return {
    instance,
    tasks,
    reaper: attachReaper(instance.memory, tasks),
    join: (makeRoom = false) => {
      const memory = new Memory(viewNodes(instance.memories, kernel), undefined);
      const own = new Reaper(memory, tasks);
      return { memory, thread: attachThread(memory.nodes, tasks, makeRoom ? () => own.makeRoom() : undefined) };
    },
  };
}

function die({ instance, tasks }: Scene, thread: number): void {
  tasks.alive.delete(taskOf(instance.node.words, thread));
}

function pinsOf({ node }: TestInstance): number {
  let pins = 0;
  for (let pfn = 0; pfn < node.frames; pfn++) pins += Math.max(0, node.words[node.pinAt + pfn]);
  return pins;
}

describe('the reaper', () => {
  it('lets those alone who live, who left, and of whom nothing is known', () => {
    const scene = createScene();
    const living = scene.join();
    const left = scene.join();
    const unknown = scene.instance.join();
    detachThread(left.memory.nodes, left.thread);
    scene.tasks.alive.clear();
    scene.tasks.alive.add(taskOf(scene.instance.node.words, living.thread));
    assert.equal(scene.reaper.look(), 0);
    assert.equal(scene.reaper.reap(unknown.thread + 1), HOLDER_LIVES);
    assert.equal(scene.reaper.reap(living.thread + 1), HOLDER_LIVES);
    assert.equal(liveThreads(scene.instance.node), 3);
  });

  it('takes nobody for dead that another process noted, as after a restore from an image', () => {
    const scene = createScene();
    const before = [scene.join(), scene.join()];
    scene.tasks.alive.clear();
    scene.tasks.process = 8;
    const after = scene.join();
    const full = before.map(({ thread }) => thread);
    assert.equal(scene.reaper.look(), 0);
    for (const { memory, thread } of before) {
      assert.equal(scene.reaper.reap(thread + 1), HOLDER_LIVES);
      const worker = scene.instance.node.words[L.THREADS_AT + thread * L.THREAD_WORDS + L.T_WORKER] - 1;
      assert.equal(scene.reaper.isWorkerDead(worker), false);
      assert.equal(new Reaper(memory, scene.tasks).look(), 0, 'by one that was noted before, too');
    }
    die(scene, after.thread);
    assert.equal(scene.reaper.look(), 1, 'who attached afterwards is known');
    assert.deepEqual(
      full.map((thread) => taskOf(scene.instance.node.words, thread) > 0),
      [true, true],
    );
    assert.equal(liveThreads(scene.instance.node), 3);
  });

  it('looks once a second', () => {
    const scene = createScene();
    let now = 5000;
    scene.instance.memory.files = { now: () => now } as never;
    const { thread } = scene.join();
    assert.equal(scene.reaper.step(), false);
    const asked = scene.tasks.asked;
    die(scene, thread);
    now += 900;
    assert.equal(scene.reaper.step(), false);
    assert.equal(scene.tasks.asked, asked);
    now += 200;
    assert.equal(scene.reaper.step(), true);
    assert.equal(liveThreads(scene.instance.node), 1);
  });

  it('gives back pins, blocks, regions, device uses and the place in the pressure figures', () => {
    const scene = createScene();
    const { instance } = scene;
    const { memory, thread } = scene.join();
    const shared = openRegion(instance.memory, 'shared', 4);
    assert.equal(openRegion(memory, 'shared', 4).region, shared.region);
    openRegion(memory, 'shared', 4);
    const space = new RegionSpace(memory, shared.region, 8 * MIB);
    pinRange(memory, space, 0, PAGE_BYTES);
    pinRange(memory, space, 64 * PAGE_BYTES, 50 * PAGE_BYTES);
    const view = {
      words: instance.node.words,
      bytes: instance.node.bytes,
      word: 0,
      byte: 0,
      pfn: 0,
      version: 0,
      node: 0,
      place: -1,
    };
    space.openWrite(5 * PAGE_BYTES, view);
    assert.equal(pinsOf(instance), 52);
    const own = openRegion(memory, '', 4);
    new RegionSpace(memory, own.region, 8 * MIB).fill(0, 3, MIB);
    openRegion(memory, 'named', 4);
    takeIoBlock(memory, 3);
    const [home] = memory.nodes;
    const meter = new StallMeter(home.words, () => 1, home.threadAt);
    meter.join();
    meter.begin();
    home.words[deviceAt(0) + L.V_USERS] = 3;
    home.words[home.threadAt + L.T_DEVICES] = 2;
    die(scene, thread);
    assert.equal(scene.reaper.look(), 1);
    assert.equal(pinsOf(instance), 0);
    assert.equal(instance.node.words[deviceAt(0) + L.V_USERS], 1, 'another’s use stays');
    assert.equal(instance.node.words[L.H_PSI_THREADS], 0);
    assert.equal(instance.node.words[L.H_PSI_STALLED], 0);
    assert.equal(regionsInUse(instance.node).includes(own.region), false, 'nobody else can reach it');
    assert.equal(openRegion(instance.memory, 'named', 4).created, false, 'its data is there for the next');
    instance.check();
    assert.equal(closeRegion(instance.memory, shared.region), true, 'the last use');
    assert.equal(liveThreads(instance.node), 1);
    instance.finish();
  });

  it('counts no use of a device that is not there', () => {
    const scene = createScene();
    const device = new FileDevice(scene.instance.node);
    const { words, threadAt } = scene.instance.node;
    assert.equal(device.read(0, new Uint8Array(8), 0, 8), 0, 'there is no device');
    assert.equal(words[threadAt + L.T_DEVICES], 0);
    assert.equal(words[deviceAt(0) + L.V_USERS], 0);
  });

  it('finds the instance failed when the thread died in a node lock, and tells those who wait', () => {
    const scene = createScene();
    const { memory, thread } = scene.join();
    memory.nodes[0].lock();
    die(scene, thread);
    assert.equal(scene.reaper.reap(thread + 1), INSTANCE_LOST);
    assert.equal(scene.instance.node.words[L.H_STATE], L.STATE_FAILED);
    assert.equal(scene.reaper.reap(thread + 1), INSTANCE_LOST, 'whoever asks next');
  });

  it('tells a waiter that the holder is buried, and buries once', () => {
    const scene = createScene();
    const { thread } = scene.join();
    die(scene, thread);
    assert.equal(scene.reaper.reap(thread + 1), HOLDER_BURIED);
    assert.equal(scene.reaper.reap(thread + 1), HOLDER_LIVES, 'the slot is free');
    assert.equal(scene.reaper.look(), 0);
    assert.equal(scene.reaper.buryDaemon(thread, 77), true, 'the owner comes too late, and that is no failure');
    assert.equal(liveThreads(scene.instance.node), 1);
  });

  it('knows workers by their numbers', () => {
    const scene = createScene();
    const { memory, thread } = scene.join();
    const worker = memory.nodes[0].words[memory.nodes[0].threadAt + L.T_WORKER] - 1;
    assert.equal(scene.reaper.isWorkerDead(worker), false);
    die(scene, thread);
    assert.equal(scene.reaper.isWorkerDead(worker), true, 'ended');
    scene.reaper.look();
    assert.equal(scene.reaper.isWorkerDead(worker), true, 'buried');
  });
});

describe('a claim', () => {
  it('of a slot that is another thread’s since, with the same number, is taken back', () => {
    const scene = createScene();
    const { thread } = scene.join();
    const { words } = scene.instance.node;
    const task = taskOf(words, thread);
    scene.tasks.alive.delete(task);
    // The task ends, the slot is buried and taken by a new thread of this number, between the look and the claim.
    scene.tasks.onAsk = () => {
      if (taskOf(words, thread) === -task) scene.tasks.alive.add(task);
    };
    assert.equal(claimBurial(words, thread, task, scene.tasks), false);
    assert.equal(taskOf(words, thread), task, 'as it was');
  });

  it('is one thread’s', () => {
    const scene = createScene();
    const { thread } = scene.join();
    const { words } = scene.instance.node;
    const task = taskOf(words, thread);
    scene.tasks.alive.delete(task);
    assert.equal(claimBurial(words, thread, task, scene.tasks), true);
    assert.equal(claimBurial(words, thread, task, scene.tasks), false);
    assert.equal(scene.reaper.look(), 0);
  });
});

describe('a thread that finds no slot', () => {
  it('buries one that ended and takes its place; without one it is refused', () => {
    const scene = createScene(L.THREADS_MAX);
    const joined = Array.from({ length: L.THREADS_MAX - 1 }, () => scene.join());
    assert.throws(() => scene.join(true), { code: 'ERR_QUIRE_OUT_OF_MEMORY' });
    const { memory, thread } = joined[20];
    takeIoBlock(memory, 2);
    die(scene, thread);
    assert.throws(() => scene.join(false), { code: 'ERR_QUIRE_OUT_OF_MEMORY' });
    assert.equal(scene.join(true).thread, thread);
    assert.equal(liveThreads(scene.instance.node), L.THREADS_MAX);
    scene.instance.finish();
  });
});
