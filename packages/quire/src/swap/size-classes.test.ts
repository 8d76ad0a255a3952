import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ZS_CLASSES_MAX } from '../arena/layout.ts';
import { PAGE_BYTES } from '../base/units.ts';
import {
  classFor,
  OBJECT_ALIGN,
  OBJECT_BYTES_MAX,
  OBJECT_BYTES_MIN,
  SIZE_CLASSES,
  UNIT_OBJECT_BYTES_MAX,
} from './size-classes.ts';

describe('size classes', () => {
  it('every size has the smallest class that holds it', () => {
    for (let bytes = 1; bytes <= UNIT_OBJECT_BYTES_MAX; bytes++) {
      const cls = classFor(bytes);
      assert.ok(SIZE_CLASSES[cls].bytes >= bytes, `${bytes} fits class ${cls}`);
      assert.ok(cls === 0 || SIZE_CLASSES[cls - 1].bytes < bytes, `${bytes} has no smaller class`);
    }
  });

  it('an object wastes at most a fifth of itself, and 7 % on average', () => {
    let shares = 0;
    for (let bytes = OBJECT_BYTES_MIN; bytes <= OBJECT_BYTES_MAX; bytes++) {
      const waste = SIZE_CLASSES[classFor(bytes)].bytes - bytes;
      assert.ok(waste <= Math.max(bytes / 5, OBJECT_ALIGN), `${bytes}: ${waste} wasted`);
      shares += waste / bytes;
    }
    assert.ok(shares / (OBJECT_BYTES_MAX - OBJECT_BYTES_MIN) < 0.07);
  });

  it('a unit wastes at most a fifth of itself, and 6 % on average where those of text are', () => {
    let shares = 0;
    for (let bytes = OBJECT_BYTES_MAX + 1; bytes <= UNIT_OBJECT_BYTES_MAX; bytes++) {
      const { frames, objects } = SIZE_CLASSES[classFor(bytes)];
      const waste = (frames * PAGE_BYTES) / objects - bytes;
      assert.ok(waste <= bytes / 5, `${bytes}: ${waste} wasted`);
      if (bytes >= 4000 && bytes <= 9000) shares += waste / bytes;
    }
    assert.ok(shares / 5000 < 0.06, `${shares / 5000}`);
  });

  it('a zspage is a chain of 1…5 frames, 1…8 for units, nearly full, with indices of a byte', () => {
    for (const { bytes, frames, objects } of SIZE_CLASSES) {
      assert.equal(bytes % OBJECT_ALIGN, 0);
      assert.ok(
        frames >= 1 && frames <= (bytes > OBJECT_BYTES_MAX ? 8 : 5) && objects >= 1 && objects <= 255,
        `${bytes}: ${objects} in ${frames}`,
      );
      assert.ok(objects * bytes <= frames * PAGE_BYTES);
      assert.ok((frames * PAGE_BYTES - objects * bytes) / (frames * PAGE_BYTES) < 0.09, `${bytes}: tail waste`);
    }
  });

  it('classes ascend, differ and fit the heads in the node', () => {
    assert.ok(SIZE_CLASSES.length <= ZS_CLASSES_MAX && SIZE_CLASSES.length < 256);
    for (let cls = 1; cls < SIZE_CLASSES.length; cls++) {
      const [a, b] = [SIZE_CLASSES[cls - 1], SIZE_CLASSES[cls]];
      assert.ok(b.bytes > a.bytes);
      assert.ok(a.frames !== b.frames || a.objects !== b.objects, 'two classes of one shape are one class');
    }
  });
});
