/**
 * Every short sequence of operations on small tables: two threads with clusters in which few slots are left, two groups,
 * memory for tables there or not. SlotScene compares each outcome with what looking at every slot says.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import type { SlotIndex } from '../base/units.ts';
import { NOTHING, PLENTY, SlotScene, type TableMemory } from '../testing/slot-scene.ts';
import { releaseThreadClusterLocked } from './cluster.ts';
import { NO_SLOT } from './swap-table.ts';

type Operation = (scene: SlotScene) => void;

/** One frame: enough for a table, or for a chunk, not for both. */
const ONE_FRAME: TableMemory = { frames: 1, parts: false };

function alloc(thread: number, order: number, group: number, memory: TableMemory): Operation {
  return (scene) => scene.alloc(thread, order, group, memory);
}

/** A slot for each group, under one hold, three more set apart at most. */
function batch(thread: number, groups: readonly number[], memory: TableMemory): Operation {
  return (scene) => scene.allocBatch(thread, groups, groups.length + 3, memory);
}

/** Frees the slot that was taken `at` from the first (or, negative, from the last). */
function free(thread: number, at: number): Operation {
  return (scene) => {
    const slot = scene.held.at(at);
    if (slot !== undefined) scene.free(thread, slot);
  };
}

function leave(thread: number): Operation {
  return (scene) => {
    const node = scene.views[thread];
    node.lock();
    releaseThreadClusterLocked(node, node.threadAt);
    node.unlock();
  };
}

/** All sequences of up to `depth` operations from where the scene stands, a state seen before not gone on from again. */
function explore(scene: SlotScene, operations: readonly Operation[], depth: number): number {
  const seen = new Map<string, number>();
  let states = 0;
  const path: number[] = [];
  const visit = (left: number): void => {
    const saved = scene.save();
    for (const [i, operation] of operations.entries()) {
      path.push(i);
      try {
        operation(scene);
        scene.check();
      } catch (error) {
        throw new Error(`after operations ${path.join(' ')}`, { cause: error });
      }
      states++;
      const key = JSON.stringify([scene.trace(), scene.held[0], scene.held.slice(-2)]);
      if ((seen.get(key) ?? 0) < left - 1) {
        seen.set(key, left - 1);
        visit(left - 1);
      }
      scene.restore(saved);
      path.pop();
    }
  };
  visit(depth);
  return states;
}

/** Takes slots until the thread's cluster of the order has `left` slots free. */
function fillUp(scene: SlotScene, thread: number, order: number, group: number, left: number): SlotIndex[] {
  const bases: SlotIndex[] = [];
  for (let slots = L.CLUSTER_SLOTS; slots > left; slots -= 1 << order) bases.push(scene.alloc(thread, order, group));
  assert.ok(!bases.includes(NO_SLOT));
  return bases;
}

describe('slot allocation, exhaustively', () => {
  it('one group, two threads, single slots and runs of four, with memory for tables and without', () => {
    const scene = new SlotScene(2);
    const singles = fillUp(scene, 0, 0, 0, 2);
    const runs = fillUp(scene, 0, 2, 0, 8);
    fillUp(scene, 1, 0, 0, 1);
    scene.slotsMax = scene.held.length + 9;
    const operations = [
      ...[PLENTY, NOTHING].flatMap((memory) => [
        alloc(0, 0, 0, memory),
        alloc(1, 0, 0, memory),
        alloc(0, 2, 0, memory),
        alloc(1, 2, 0, memory),
      ]),
      batch(0, [0, 0, 0], PLENTY),
      (s: SlotScene) => s.has(runs[3]) && s.free(1, runs[3]),
      (s: SlotScene) => s.has(singles[5]) && s.free(0, singles[5]),
      free(0, -1),
      leave(0),
    ] as Operation[];
    const states = explore(scene, operations, 5);
    assert.ok(states > 5_000, `${states} states`);
  });

  it('two groups, one with a limit: stealing mixes clusters, where there is memory to tell slots apart', () => {
    const scene = new SlotScene(2);
    fillUp(scene, 0, 0, 0, 1);
    const runs = fillUp(scene, 0, 2, 0, 4);
    const others = fillUp(scene, 1, 0, 1, 1);
    scene.limit(1, others.length + 3);
    const operations = [
      ...[PLENTY, NOTHING, ONE_FRAME].flatMap((memory) => [alloc(0, 0, 0, memory), alloc(1, 0, 1, memory)]),
      alloc(0, 0, 1, NOTHING),
      batch(0, [0, 1, 0], ONE_FRAME),
      alloc(1, 2, 1, NOTHING),
      alloc(0, 2, 0, NOTHING),
      (s: SlotScene) => s.has(runs[0]) && s.free(1, runs[0]),
      (s: SlotScene) => s.has(others[0]) && s.free(0, others[0]),
      free(1, -1),
      leave(0),
    ] as Operation[];
    const states = explore(scene, operations, 5);
    assert.ok(states > 5_000, `${states} states`);
  });

  it('from nothing: clusters, tables and chunks come and go, memory fails at each point', () => {
    const scene = new SlotScene(2);
    scene.slotsMax = 6;
    const operations = [
      ...[PLENTY, NOTHING, ONE_FRAME].flatMap((memory) => [
        alloc(0, 0, 0, memory),
        alloc(1, 0, 1, memory),
        alloc(0, 2, 1, memory),
      ]),
      batch(1, [1, 0], ONE_FRAME),
      (s: SlotScene) => s.markBad(1 as SlotIndex),
      free(1, 0),
      free(0, -1),
      leave(0),
      leave(1),
    ] as Operation[];
    const states = explore(scene, operations, 5);
    assert.ok(states > 5_000, `${states} states`);
  });
});
