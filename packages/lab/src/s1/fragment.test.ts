import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fragment, isUnmovable } from './fragment.ts';

const FRAMES = 2 ** 18;
const FIRST = 1000;

class Frames {
  readonly frames = FRAMES;
  readonly out = new Set<number>();
  #next = FIRST;

  takeFrame(): number {
    const pfn = this.#next;
    assert.ok(pfn < FIRST + FRAMES, 'more frames taken than there are');
    this.#next += 1;
    this.out.add(pfn);
    return pfn;
  }

  giveFrame(pfn: number): void {
    assert.ok(this.out.delete(pfn), 'a frame given twice');
  }
}

describe('fragment', () => {
  it('keeps 40 % of the frames, the same ones each time', () => {
    for (const seed of [1, 2, 99]) {
      const source = new Frames();
      const kept = fragment(source, seed);
      assert.deepEqual([...source.out].sort(), [...kept].sort());
      assert.ok(Math.abs(kept.length / FRAMES - 0.4) < 0.04, `${kept.length / FRAMES} of the frames`);
      assert.deepEqual(fragment(new Frames(), seed), kept);
    }
  });

  it('leaves half of the blocks whole and takes others entirely', () => {
    const counts = Array.from({ length: 512 }, (_, block) => {
      let count = 0;
      for (let inside = 0; inside < 512; inside += 1) if (isUnmovable(block * 512 + inside, 5)) count += 1;
      return count;
    });
    const share = (test: (count: number) => boolean) => counts.filter(test).length / counts.length;
    assert.ok(Math.abs(share((count) => count === 0) - 0.5) < 0.08);
    assert.ok(Math.abs(share((count) => count === 512) - 0.3) < 0.08);
    assert.ok(counts.every((count) => count === 0 || count === 512 || (count > 180 && count < 330)));
  });
});
