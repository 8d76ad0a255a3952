import assert from 'node:assert/strict';
import * as L from '../arena/layout.ts';
import { orderFromPte } from '../arena/pte.ts';
import { CHUNK_BYTES, KIB, MIB } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import type { FileSpace } from './file-space.ts';
import { createFileScene, type FileScene, patternAt } from './testing/file-scene.ts';

/**
 * Cost of reads and writes of cached pages, in folios of 4 KiB and of 2 MiB, at random aligned places. Best and median of 7
 * rounds, ns per call. `naive` walks the states of all blocks of the folio, as ext4's buffer heads did; a bare copy is what
 * the machine asks for in any case.
 */
const ROUNDS = 7;
const CALLS = 200_000;
/** Each takes some 100 times as long. */
const NAIVE_CALLS = 4000;
const FILE_BYTES = 16 * MIB;

function time(name: string, operation: (index: number) => void, calls = CALLS): void {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let index = 0; index < calls; index++) operation(index);
    times.push(((performance.now() - start) * 1e6) / calls);
  }
  times.sort((a, b) => a - b);
  console.log(`  ${name.padEnd(28)} ${times[0].toFixed(0)} (median ${times[ROUNDS >> 1].toFixed(0)})`);
}

/** A file of 16 MiB, all cached, in folios of one order. */
function cached(order: number, naiveWalk: boolean): FileScene {
  const scene = createFileScene({ bytes: 40 * MIB }, patternAt(0, FILE_BYTES), { naiveWalk });
  scene.space.fill(0, FILE_BYTES / 4096, order);
  const node = scene.instance.node;
  for (let chunk = 0; chunk < FILE_BYTES / CHUNK_BYTES; chunk++) {
    const leaf = findLeaf(node, scene.space.region, chunk);
    assert.equal(orderFromPte(node.words[leaf]), order, 'folios have the order that was asked for');
  }
  assert.equal(node.words[L.H_PC_PAGES], FILE_BYTES / 4096);
  return scene;
}

function placeOf(index: number, step: number): number {
  return ((index * 7919) % (FILE_BYTES / step)) * step;
}

function benchWrites(space: FileSpace, bytes: number, calls: number): void {
  const source = patternAt(0, bytes, 3);
  const target = new Uint8Array(bytes);
  const places = Float64Array.from({ length: 4096 }, (_, index) => placeOf(index, bytes));
  time(`write ${bytes / KIB} KiB`, (index) => space.write(places[index & 4095], source, 0, bytes), calls);
  assert.equal(space.read(places[17], target, 0, bytes), bytes);
  assert.equal(Buffer.compare(target, source), 0);
}

function benchReads(space: FileSpace, bytes: number): void {
  const target = new Uint8Array(bytes);
  const places = Float64Array.from({ length: 4096 }, (_, index) => placeOf(index, bytes));
  time(`read ${bytes / KIB} KiB`, (index) => space.read(places[index & 4095], target, 0, bytes));
}

function benchCopies(): void {
  const shared = new Uint8Array(new SharedArrayBuffer(FILE_BYTES));
  const places = Int32Array.from({ length: 4096 }, (_, index) => placeOf(index, 4 * KIB));
  const own = new Uint8Array(4 * KIB);
  const part = own.subarray(0, KIB);
  console.log('bare copies');
  time('1 KiB in', (index) => shared.set(part, places[index & 4095]));
  time('4 KiB out', (index) => {
    const at = places[index & 4095];
    own.set(shared.subarray(at, at + 4 * KIB));
  });
}

benchCopies();
for (const [order, naiveWalk] of [
  [0, false],
  [9, false],
  [9, true],
] as const) {
  const scene = cached(order, naiveWalk);
  console.log(
    `folios of ${(4 << order) / (order === 9 ? KIB : 1)} ${order === 9 ? 'MiB' : 'KiB'}${naiveWalk ? ', naive' : ''}`,
  );
  benchReads(scene.space, KIB);
  benchReads(scene.space, 4 * KIB);
  benchWrites(scene.space, KIB, naiveWalk ? NAIVE_CALLS : CALLS);
  benchWrites(scene.space, 4 * KIB, naiveWalk ? NAIVE_CALLS : CALLS);
  scene.finish();
}
