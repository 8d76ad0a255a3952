import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ByteCopier } from '../base/port.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { FillCopier, MoveCopier } from './node-file-io.ts';

const MEMORY_BYTES = 40 * PAGE_BYTES;
const OWN_BYTES = 12 * PAGE_BYTES;

function sharedBytes(seed: number): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(MEMORY_BYTES));
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31 + (i >>> 8) + seed;
  return bytes;
}

/** A caller's view: a Uint8Array or a Buffer, at the start of its buffer or inside. */
function ownBytes(isBuffer: boolean, inside: number, length: number): Uint8Array {
  const whole = Uint8Array.from({ length: OWN_BYTES }, (_, i) => i * 17 + (i >>> 7));
  return isBuffer ? Buffer.from(whole.buffer, inside, length) : new Uint8Array(whole.buffer, inside, length);
}

const place = fc.oneof(
  fc.nat(MEMORY_BYTES - OWN_BYTES),
  fc.nat(20).map((page) => page * PAGE_BYTES),
);

for (const makeCopier of [() => new FillCopier(), () => new MoveCopier()]) {
  const { name } = makeCopier().constructor;
  describe(name, () => {
    const copies = (copier: ByteCopier) =>
      fc.record({
        isBuffer: fc.boolean(),
        inside: fc.constantFrom(0, 1, 24, PAGE_BYTES),
        from: fc.oneof(fc.constant(0), fc.nat(PAGE_BYTES)),
        length: fc.oneof(fc.integer({ min: copier.bytesMin, max: 9 * PAGE_BYTES }), fc.constant(PAGE_BYTES)),
        /** Bytes of the view behind what is meant. */
        behind: fc.constantFrom(0, 1, 100),
        place,
        second: fc.boolean(),
      });

    it('copies into memory what is meant, and nothing beside it', () => {
      const copier = makeCopier();
      fc.assert(
        fc.property(copies(copier), ({ isBuffer, inside, from, length, behind, place: to }) => {
          const memory = sharedBytes(1);
          const source = ownBytes(isBuffer, inside, from + length + behind);
          const expected = Uint8Array.from(memory);
          expected.set(source.subarray(from, from + length), to);
          copier.copyIn(memory, to, source, from, length);
          assert.equal(Buffer.compare(memory, expected), 0);
        }),
        { numRuns: 200 },
      );
    });

    it('copies out of either of two memories what is there now', () => {
      const copier = makeCopier();
      const memories = [sharedBytes(2), sharedBytes(3)];
      let stamp = 0;
      fc.assert(
        fc.property(copies(copier), ({ isBuffer, inside, from: to, length, behind, place: from, second }) => {
          const memory = memories[second ? 1 : 0];
          memory[from + (stamp % length)] = ++stamp;
          const target = ownBytes(isBuffer, inside, to + length + behind);
          const expected = Uint8Array.from(target);
          expected.set(memory.subarray(from, from + length), to);
          copier.copyOut(memory, from, target, to, length);
          assert.equal(Buffer.compare(target, expected), 0);
        }),
        { numRuns: 400 },
      );
    });
  });
}
