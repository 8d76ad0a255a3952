import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CLASSES,
  chargedBytes,
  classCapacity,
  classOf,
  extentRuns,
  isExtentClass,
  RUN_BYTES,
  SLAB_BYTES_MAX,
  SLAB_CLASSES,
  SLOTS_MAX,
  slotAt,
  slotOffset,
  slotsOf,
} from './size-class.ts';

test('every slab size goes to the smallest class that holds it, and wastes at most an eighth', () => {
  for (let bytes = 1; bytes <= SLAB_BYTES_MAX; bytes++) {
    const classId = classOf(bytes);
    const capacity = classCapacity(classId);
    assert.ok(capacity >= bytes && capacity % 16 === 0);
    if (classId > 0) assert.ok(classCapacity(classId - 1) < bytes, `${bytes}`);
    if (bytes >= 128) assert.ok((capacity - bytes) / capacity < 0.125, `${bytes} in ${capacity}`);
  }
  assert.equal(classOf(SLAB_BYTES_MAX), SLAB_CLASSES - 1);
});

test('extents hold what they should, up to a record with the largest key and value', () => {
  for (let bytes = SLAB_BYTES_MAX + 1; bytes < 70_000_000; bytes = Math.ceil(bytes * 1.01)) {
    const classId = classOf(bytes);
    assert.ok(isExtentClass(classId) && classId < CLASSES);
    assert.ok(classCapacity(classId) >= bytes);
    assert.equal(classCapacity(classId), extentRuns(classId) * RUN_BYTES);
    assert.equal(chargedBytes(classId, bytes), Math.ceil(bytes / 4096) * 4096);
    if (classId > SLAB_CLASSES) assert.ok(classCapacity(classId - 1) < bytes);
  }
  assert.ok(classOf(16 + 65_536 + 64 * 2 ** 20) < CLASSES);
});

test('slots lie in the run, apart, aligned, and are found again', () => {
  for (let classId = 0; classId < SLAB_CLASSES; classId++) {
    const bytes = classCapacity(classId);
    let end = 0;
    for (let slot = 0; slot < slotsOf(classId); slot++) {
      const offset = slotOffset(classId, slot);
      assert.ok(offset >= end && offset % 16 === 0 && offset + bytes <= RUN_BYTES);
      assert.equal(slotAt(classId, offset), slot);
      end = offset + bytes;
    }
    assert.ok(slotsOf(classId) <= SLOTS_MAX && slotsOf(classId) >= 4);
    assert.ok(slotsOf(classId) * bytes > RUN_BYTES * 0.8, `class ${classId} uses its run`);
  }
});

test('an offset between slots belongs to none', () => {
  for (let classId = 1; classId < SLAB_CLASSES; classId++) {
    for (let offset = 16; offset < classCapacity(classId); offset += 16) assert.equal(slotAt(classId, offset), -1);
    assert.equal(slotAt(classId, RUN_BYTES), -1);
  }
});

test('records of up to 1 KiB mostly stay inside a page', () => {
  for (const bytes of [32, 64, 112, 128, 144, 256, 512, 1024]) {
    const classId = classOf(bytes);
    for (let slot = 0; slot < slotsOf(classId); slot++) {
      const offset = slotOffset(classId, slot);
      assert.equal(Math.floor(offset / 4096), Math.floor((offset + bytes - 1) / 4096), `${bytes}`);
    }
  }
});
