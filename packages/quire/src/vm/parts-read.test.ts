/** Small reads of raw pages on file in two calls of the kernel (vm/file-read.ts): what they leave behind, and what ends them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import { ageBucket, shadowByteAt } from '../reclaim/working-set.ts';
import { copyParts, partsLength, RAW_PART_BYTES, RAW_PART_STRIDE } from '../swap/file-object.ts';
import { FILE_HEADER_BYTES } from '../swap/file-segments.ts';
import { sequenceAt } from '../swap/swap-table.ts';
import { counted, demoteAll, evict, type Loaded, load, placeOf, readPage } from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { FOUND_SEQUENCE, FOUND_SLOT, placeOfRead, READ_ON_FILE } from './page-read.ts';

const PAGES = 60;
const PAGE = 17;

function noise(page: number): Uint8Array {
  return makePage(page, 'noise');
}

/** Raw pages on file that stay there, the last of which were found raw. */
function onFile(): Loaded {
  const loaded = load(undefined, 0);
  const { instance, space } = loaded;
  for (let page = 0; page < PAGES; page++) space.write(page * PAGE_BYTES, noise(page), 0, PAGE_BYTES);
  evict(instance);
  demoteAll(loaded);
  const { words } = instance.node;
  words[L.H_POOL_FRAMES_MAX] = 0;
  for (const page of [40, 30, 20]) assert.deepEqual(readPage(space, page), noise(page));
  words[L.H_AGE] += words[L.H_FRAMES];
  return loaded;
}

/** Runs `meanwhile` when the device has read, before the bytes are looked at. */
function whileReading({ instance }: Loaded, meanwhile: () => void): void {
  let isDone = false;
  instance.device.plan = (request) => {
    if (request.op === 'read' && !isDone) {
      isDone = true;
      meanwhile();
    }
    return undefined;
  };
}

function slotOf({ instance, space }: Loaded): number {
  return instance.node.words[findLeaf(instance.node, space.region, 0) + PAGE] >>> 2;
}

/** Reads 1 KiB of the page, which must be right. Returns the reads of the device. */
function readSome({ instance, space }: Loaded, target: Uint8Array = new Uint8Array(1024), from = 1024): number {
  const before = counted(instance, 'file_reads');
  space.read(PAGE * PAGE_BYTES + from, target, 0, 1024);
  assert.deepEqual(new Uint8Array(target), noise(PAGE).subarray(from, from + 1024));
  return counted(instance, 'file_reads') - before;
}

describe('a small read of a raw page on file', () => {
  it('is one read of the device, and leaves the age of one touch', () => {
    const loaded = onFile();
    const { node } = loaded.instance;
    for (const from of [0, 1024, 1100, 2048, 3071, 3072]) {
      node.words[L.H_AGE] += node.frames >> 1;
      const age = node.words[L.H_AGE];
      const bucket = ageBucket(node);
      assert.equal(readSome(loaded, new Uint8Array(1024), from), 1);
      assert.equal(node.words[L.H_AGE], age + 1);
      assert.equal(node.bytes[shadowByteAt(node, slotOf(loaded))], bucket);
    }
    loaded.instance.finish();
  });

  it('goes straight to a target in the memory of the node', () => {
    const loaded = onFile();
    const { node } = loaded.instance;
    const scratch = node.nextScratch();
    assert.equal(readSome(loaded, node.bytes.subarray(scratch, scratch + 1024)), 1);
    loaded.instance.finish();
  });

  it('is tried again when the slot has moved on, or the leaf may be gone, and the touch is noted once', () => {
    for (const what of ['sequence', 'generation'] as const) {
      const loaded = onFile();
      const { node } = loaded.instance;
      const generationAt = regionAt(loaded.space.region) + L.R_GENERATION;
      const at = what === 'sequence' ? sequenceAt(slotOf(loaded)) : generationAt;
      whileReading(loaded, () => void Atomics.add(node.words, at, 1));
      const age = node.words[L.H_AGE];
      assert.equal(readSome(loaded), 2);
      assert.equal(node.words[L.H_AGE], age + 1);
      loaded.instance.finish();
    }
  });
});

describe('the kernels of parts', () => {
  it('give any bytes of undamaged parts, and nothing when a byte of one has changed', () => {
    const loaded = onFile();
    const { node, device } = loaded.instance;
    const target = node.nextScratch();
    const pieces = [
      [0, 1],
      [1023, 1025],
      [100, 2500],
      [0, PAGE_BYTES],
      [4000, 4096],
    ] as const;
    for (const [from, end] of pieces) {
      const length = partsLength(end);
      const first = Math.floor(from / RAW_PART_BYTES) * RAW_PART_STRIDE;
      // Of the first header, all but the checksum of what is not wanted: it says that the object is raw, and whose.
      const isLookedAt = (at: number): boolean => at >= first || at < 8 || (at >= 12 && at < FILE_HEADER_BYTES);
      device.read(placeOf(loaded, PAGE), node.bytes, node.stagingByte, length);
      assert.equal(copyParts(node, node.stagingByte, slotOf(loaded), target, from, end), true);
      assert.deepEqual(
        new Uint8Array(node.bytes.subarray(target + from, target + end)),
        noise(PAGE).subarray(from, end),
      );
      assert.equal(copyParts(node, node.stagingByte, slotOf(loaded) + 1, target, from, end), false);
      for (let at = 0; at < length; at += at < FILE_HEADER_BYTES ? 1 : 41) {
        node.bytes[node.stagingByte + at] ^= 1;
        const isCopied = copyParts(node, node.stagingByte, slotOf(loaded), target, from, end);
        assert.equal(isCopied, !isLookedAt(at), `byte ${at}`);
        node.bytes[node.stagingByte + at] ^= 1;
      }
    }
    loaded.instance.finish();
  });

  it('readParts gives nothing when the sequence is not the one found', () => {
    const loaded = onFile();
    const { node, device } = loaded.instance;
    const entryAt = findLeaf(node, loaded.space.region, 0) + PAGE;
    const bucket = ageBucket(node);
    assert.equal(node.kernel.readPage(node.readBlock, 0, 0, entryAt << 2, 0, 1024, bucket), READ_ON_FILE);
    const found = node.readBlock / 4;
    assert.equal(node.words[found + FOUND_SLOT], slotOf(loaded));
    assert.equal(node.words[found + FOUND_SEQUENCE], node.words[sequenceAt(slotOf(loaded))]);
    device.read(placeOf(loaded, PAGE), node.bytes, node.ioByte, RAW_PART_STRIDE);
    const read = (): number => node.kernel.readParts(node.readBlock, 0, 0, node.ioByte, 0, 1024, placeOfRead(node, 0));
    assert.equal(read(), 1);
    node.words[sequenceAt(slotOf(loaded))]++;
    assert.equal(read(), 0);
    loaded.instance.finish();
  });
});
