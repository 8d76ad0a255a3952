/**
 * A file in the page cache against a plain byte array: random reads, writes, appends, truncates, flushes and evictions
 * across blocks, folios, leaves and nodes, with little memory and with faults of the disk.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import type { FileRequest } from '../testing/memory-file-io.ts';
import { createFileScene, FD, type FileScene, patternAt } from './testing/file-scene.ts';

type Step =
  | { readonly kind: 'write'; readonly position: number; readonly length: number }
  | { readonly kind: 'append'; readonly length: number }
  | { readonly kind: 'read'; readonly position: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly size: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'evict' }
  | { readonly kind: 'fill'; readonly position: number; readonly pages: number; readonly order: number }
  | { readonly kind: 'pin'; readonly position: number; readonly length: number };

/** Bytes of the largest file of a run: two leaves in each of two nodes. */
const SIZE_MAX = 4 * CHUNK_BYTES;

/** Positions near the borders of blocks and leaves, and anywhere. */
const position = fc.oneof(
  fc.nat(6 * PAGE_BYTES),
  fc.nat(SIZE_MAX),
  fc
    .tuple(fc.constantFrom(PAGE_BYTES, 16 * PAGE_BYTES, CHUNK_BYTES, 2 * CHUNK_BYTES), fc.integer({ min: -3, max: 3 }))
    .map(([border, by]) => border + by),
);
const length = fc.oneof(fc.nat(64), fc.nat(3 * PAGE_BYTES), fc.nat(MIB), fc.constantFrom(PAGE_BYTES, 64 * 1024));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), position, length }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('append' as const), length }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), position, length }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('truncate' as const), size: position }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'flush' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'evict' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('fill' as const), position, pages: fc.nat(64), order: fc.nat(9) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pin' as const), position, length }) },
);

/** The file as it must be. */
class PlainFile {
  bytes = new Uint8Array(0);

  write(position: number, data: Uint8Array): void {
    if (data.length === 0) return;
    if (position + data.length > this.bytes.length) this.truncate(position + data.length);
    this.bytes.set(data, position);
  }

  truncate(size: number): void {
    const after = new Uint8Array(size);
    after.set(this.bytes.subarray(0, size));
    this.bytes = after;
  }
}

function run(scene: FileScene, plain: PlainFile, steps: readonly Step[]): void {
  const { space } = scene;
  for (const [index, each] of steps.entries()) {
    try {
      runStep(scene, plain, each, index);
    } catch (error) {
      if (!(error instanceof QuireError) || error.code !== 'ERR_QUIRE_IO') throw error;
    }
    assert.equal(space.size(), plain.bytes.length, `size after step ${index}`);
  }
}

function runStep(scene: FileScene, plain: PlainFile, step: Step, seed: number): void {
  const { space } = scene;
  if (step.kind === 'write') {
    const data = patternAt(step.position, step.length, seed);
    const written = space.write(step.position, data, 0, data.length);
    plain.write(step.position, data.subarray(0, written));
  } else if (step.kind === 'append') {
    const data = patternAt(plain.bytes.length, step.length, seed);
    const { position: at, written } = space.append(data, 0, data.length);
    assert.equal(at, plain.bytes.length);
    plain.write(at, data.subarray(0, written));
  } else if (step.kind === 'read') checkRead(scene, plain, step.position, step.length);
  else if (step.kind === 'truncate') {
    space.truncate(step.size);
    plain.truncate(step.size);
  } else if (step.kind === 'flush') scene.flush();
  else if (step.kind === 'evict') evict(scene);
  else if (step.kind === 'fill') space.fill(step.position, step.pages, step.order);
  else if (step.kind === 'pin') checkPin(scene, plain, step.position, step.length, seed);
}

function checkRead(scene: FileScene, plain: PlainFile, at: number, length: number): void {
  const target = new Uint8Array(length + 2).fill(0xee);
  const got = scene.space.read(at, target, 1, length);
  const expected = plain.bytes.subarray(at, at + length);
  assert.ok(got <= expected.length);
  if (scene.io.plan === undefined) assert.equal(got, expected.length);
  assert.ok(Buffer.from(target.buffer, 1, got).equals(expected.subarray(0, got)), `bytes at ${at}`);
  assert.ok(target[0] === 0xee && target[got + 1] === 0xee, 'nothing beside the target is touched');
}

function checkPin(scene: FileScene, plain: PlainFile, at: number, length: number, seed: number): void {
  const isInside = length > 0 && at + length <= plain.bytes.length;
  const isOneBlock = Math.floor(at / CHUNK_BYTES) === Math.floor((at + length - 1) / CHUNK_BYTES);
  if (!isInside || !isOneBlock) {
    assert.throws(() => scene.space.pin(at, length), { code: 'ERR_QUIRE_RANGE' });
    return;
  }
  let held: ReturnType<FileScene['space']['pin']>;
  try {
    held = scene.space.pin(at, length);
  } catch (error) {
    if (error instanceof QuireError && /OUT_OF_MEMORY|SWAP_FULL/.test(error.code)) return;
    throw error;
  }
  assert.ok(Buffer.from(held.bytes).equals(plain.bytes.subarray(at, at + length)), `pinned bytes at ${at}`);
  const data = patternAt(at, length, seed);
  held.bytes.set(data);
  scene.space.unpin(held);
  plain.write(at, data);
}

/** Everything clean leaves memory. */
function evict(scene: FileScene): void {
  for (const [n, node] of scene.instance.nodes.entries()) {
    for (let round = 0; round < 200 && node.words[L.H_PC_PAGES] > 0; round++) {
      if (!scene.instance.memory.reclaimers[n].round(false, false)) break;
    }
  }
}

function checkDisk(scene: FileScene, plain: PlainFile): void {
  scene.io.heal();
  assert.ok(scene.flush(), 'a disk that works takes everything');
  // What was never written behind the last write is a hole that the disk may not have yet.
  const disk = new Uint8Array(plain.bytes.length);
  disk.set(scene.io.bytes(FD).subarray(0, disk.length));
  assert.ok(Buffer.from(disk.buffer).equals(plain.bytes), 'the disk has every byte');
  assert.ok(scene.io.bytes(FD).length <= plain.bytes.length, 'and none behind the end');
}

describe('a file in the page cache', () => {
  for (const nodes of [1, 2]) {
    it(`is a byte array, whatever is done to it (${nodes} nodes)`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
          const scene = createFileScene({ nodes, bytes: (nodes === 1 ? 12 : 8) * MIB });
          scene.instance.memory.writeBack = () => scene.writeSome();
          const plain = new PlainFile();
          run(scene, plain, steps);
          checkRead(scene, plain, 0, plain.bytes.length + 10);
          scene.check();
          checkDisk(scene, plain);
          scene.finish();
        }),
        { numRuns: 50 },
      );
    });
  }

  it('is one in little memory, where pages come and go', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), (steps) => {
        const scene = createFileScene({ bytes: 3 * MIB });
        scene.instance.memory.writeBack = () => scene.writeSome();
        const plain = new PlainFile();
        run(scene, plain, steps);
        checkRead(scene, plain, 0, plain.bytes.length);
        scene.check();
        checkDisk(scene, plain);
        scene.finish();
      }),
      { numRuns: 50 },
    );
  });

  it('loses nothing when the disk fails now and then', () => {
    const fault = fc.constantFrom('none', 'none', 'none', 'EIO', 'short');
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
        fc.array(fault, { minLength: 1, maxLength: 50 }),
        (steps, faults) => {
          const scene = createFileScene({ bytes: 12 * MIB });
          const plain = new PlainFile();
          scene.io.plan = (request: FileRequest) => {
            const fate = faults[request.index % faults.length];
            if (fate === 'EIO') return { kind: 'error', code: 'EIO' };
            return fate === 'short' ? { kind: 'short', bytes: Math.max(1, request.length >> 1) } : undefined;
          };
          for (const [index, each] of steps.entries()) {
            try {
              runStep(scene, plain, each, index);
            } catch (error) {
              assert.ok(
                error instanceof Error && (('code' in error && error.code === 'EIO') || error instanceof QuireError),
              );
              if (error instanceof QuireError) assert.equal(error.code, 'ERR_QUIRE_IO');
            }
            assert.equal(scene.space.size(), plain.bytes.length);
          }
          scene.check();
          scene.io.heal();
          checkRead(scene, plain, 0, plain.bytes.length);
          checkDisk(scene, plain);
          scene.finish();
        },
      ),
      { numRuns: 50 },
    );
  });
});
