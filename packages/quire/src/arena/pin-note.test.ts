/** Pins noted, forgotten and given back, against a plain multiset. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MIB, type Pfn } from '../base/units.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import * as L from './layout.ts';
import { forgetPin, forgetRun, givePinsBack, notePin, noteRun } from './pin-note.ts';

const instance = createTestInstance({ bytes: 8 * MIB });
const { node } = instance;

function areaOf({ node: { words, threadAt } }: TestInstance): Pfn {
  return words[threadAt + L.T_AREA] as Pfn;
}

/** Gives all back, and returns how many of each frame: pins are taken as 1,000 for this. */
function given(): Map<number, number> {
  const pins = node.words.slice(node.pinAt, node.pinAt + node.frames);
  givePinsBack(node, areaOf(instance));
  const counts = new Map<number, number>();
  for (let pfn = 0; pfn < node.frames; pfn++) {
    const count = pins[pfn] - node.words[node.pinAt + pfn];
    if (count !== 0) counts.set(pfn, count);
    node.words[node.pinAt + pfn] = pins[pfn];
  }
  return counts;
}

describe('notes of pins', () => {
  it('are given back as often as they were noted and not forgotten', () => {
    // Few places, so that frames meet; never more than eight at one.
    const frame = fc.integer({ min: 0, max: 7 }).map((i) => (600 + (i % 4) + (i >> 2) * L.PIN_NOTES) as Pfn);
    const step = fc.record({ frame, isPin: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const held: Pfn[] = [];
        for (const each of steps) {
          const at = held.indexOf(each.frame);
          if (each.isPin && held.length < 8) {
            notePin(node, each.frame);
            held.push(each.frame);
          } else if (!each.isPin && at >= 0) {
            forgetPin(node, each.frame);
            held.splice(at, 1);
          }
        }
        const expected = new Map<number, number>();
        for (const pfn of held) expected.set(pfn, (expected.get(pfn) ?? 0) + 1);
        assert.deepEqual([...given()].sort(), [...expected].sort());
        assert.equal(given().size, 0, 'once');
      }),
      { numRuns: 500 },
    );
  });

  it('of a run take the place of its frames', () => {
    for (let i = 0; i < 200; i++) notePin(node, (700 + i) as Pfn);
    assert.ok(noteRun(node, 700 as Pfn, 200));
    notePin(node, 700 as Pfn);
    const counts = given();
    assert.equal(counts.size, 200);
    assert.equal(counts.get(700), 2);
    assert.equal(counts.get(899), 1);
  });

  it('of a run are forgotten as one, and there are 64 of them', () => {
    for (let i = 0; i < L.PIN_RUNS; i++) assert.ok(noteRun(node, (600 + 2 * i) as Pfn, 2));
    assert.equal(noteRun(node, 900 as Pfn, 2), false);
    forgetRun(node, 610 as Pfn, 2);
    const counts = given();
    assert.equal(counts.size, 2 * L.PIN_RUNS - 2);
    assert.equal(counts.has(610), false);
  });

  it('of runs that begin at one frame are told apart by their lengths', () => {
    assert.ok(noteRun(node, 600 as Pfn, 2));
    assert.ok(noteRun(node, 600 as Pfn, 5));
    forgetRun(node, 600 as Pfn, 5);
    assert.deepEqual(
      [...given()],
      [
        [600, 1],
        [601, 1],
      ],
    );
  });

  it('that find no place are not noted, and what is forgotten then is nobody else’s', () => {
    const first = Array.from({ length: 8 }, (_, i) => (600 + i) as Pfn);
    const late = (600 + L.PIN_NOTES) as Pfn;
    for (const pfn of [...first, late]) notePin(node, pfn);
    forgetPin(node, late);
    assert.deepEqual([...given().keys()], first);
  });
});
