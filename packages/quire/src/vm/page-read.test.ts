/** The kernel `readPage`: what it reads, what it leaves to the general way, and that nothing it may find makes it touch more than its own. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { isPresent, pteFromFrame, pteFromSlot, slotFromPte } from '../arena/pte.ts';
import { MIB, PAGE_BYTES, type Pfn, type SlotIndex, UNIT_PAGES } from '../base/units.ts';
import { makeRandom, type Random, runSeed } from '../codec/testing/random.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import { ageBucket, PROMOTE_BUCKETS, shadowByteAt, shadowOfTouch } from '../reclaim/working-set.ts';
import { Reclaimer } from '../swap/reclaimer.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot, sequenceAt } from '../swap/swap-table.ts';
import { makePage, type PageKind } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import type { Access } from './access.ts';
import { bytesRead, FOUND_SLOT, READ_OTHERWISE, READ_RESIDENT, READ_TRANSIENT } from './page-read.ts';
import type { RegionSpace } from './region-space.ts';

const PAGES = 256;
/** Of resident pages, longer pieces are left to the general way. */
const RESIDENT_MAX = 2048;

class Scene {
  readonly instance: TestInstance;
  readonly node: Node;
  readonly space: RegionSpace;

  constructor(shape: TestShape = {}, access: Access = 'random') {
    this.instance = createTestInstance({ bytes: 4 * MIB, ...shape });
    this.node = this.instance.node;
    this.space = this.instance.space(4 * MIB, '', access);
  }

  fill(kind: PageKind, count = PAGES): void {
    for (let page = 0; page < count; page++) this.space.write(page * PAGE_BYTES, makePage(page, kind), 0, PAGE_BYTES);
  }

  evict(): void {
    const { node } = this;
    const reclaimer = new Reclaimer(node, undefined);
    for (let round = 0; round < 2000 && node.words[L.H_REGION_PAGES] + node.words[L.H_INFLIGHT] > 0; round++)
      reclaimer.round(false, true);
    assert.equal(node.words[L.H_REGION_PAGES], 0);
    node.words[L.H_AGE] += node.frames;
  }

  entryAt(page: number): number {
    return findLeaf(this.node, this.space.region, 0) + page;
  }

  slot(page: number): number {
    const entry = this.node.words[this.entryAt(page)];
    assert.ok(!isPresent(entry), `page ${page} is swapped`);
    return slotFromPte(entry);
  }

  read(page: number, from: number, end: number): number {
    return readEntry(this.node, this.entryAt(page), from, end);
  }

  /** Left alone: all memory but where bytes go to is as it was. */
  expectOtherwise(page: number, from = 100, end = 200): void {
    const before = Buffer.from(this.node.bytes);
    assert.equal(this.read(page, from, end), READ_OTHERWISE);
    expectUntouched(this.node, before);
  }
}

function readEntry(node: Node, entryAt: number, from: number, end: number): number {
  return node.kernel.readPage(node.readBlock, 0, 0, entryAt << 2, from, end, ageBucket(node));
}

function expectUntouched(
  node: Node,
  before: Buffer,
  but: readonly (readonly [from: number, end: number])[] = [],
): void {
  const target = node.areaByte + L.AREA_LZ4_TABLE;
  const now = Buffer.from(node.bytes.buffer);
  const own = [[target, target + PAGE_BYTES], [node.gatherByte, node.gatherByte + 2 * PAGE_BYTES], ...but];
  for (const [from, end] of own) now.copy(before, from, from, end);
  if (before.equals(now)) return;
  assert.fail(`byte ${before.findIndex((byte, at) => byte !== now[at])} changed`);
}

/** Pieces of a page: its ends, all of it, and some others. */
function pieces(random: Random): (readonly [from: number, end: number])[] {
  const some = Array.from({ length: 6 }, () => {
    const from = random.below(PAGE_BYTES);
    return [from, from + 1 + random.below(PAGE_BYTES - from)] as const;
  });
  return [[0, 1], [0, PAGE_BYTES], [PAGE_BYTES - 1, PAGE_BYTES], [1024, 2048], ...some];
}

describe('readPage', () => {
  it('reads a short piece of a resident page and marks the page', () => {
    const scene = new Scene();
    scene.fill('text');
    const { node } = scene;
    for (let page = 0; page < PAGES; page++) {
      const frame = node.words[scene.entryAt(page)] >>> 2;
      for (const [from, end] of pieces(makeRandom(page))) {
        node.words[node.touchAt + frame] = 0;
        const how = scene.read(page, from, end);
        assert.equal(how, end - from > RESIDENT_MAX ? READ_OTHERWISE : READ_RESIDENT);
        if (how === READ_OTHERWISE) continue;
        assert.equal(node.words[node.touchAt + frame], 1);
        assert.deepEqual(bytesRead(node, from, end - from), makePage(page, 'text').subarray(from, end));
      }
    }
  });

  it('reads any piece of a compressed page, in one frame or across two, and leaves the age of the touch', () => {
    const scene = new Scene();
    scene.fill('text');
    scene.evict();
    const { node } = scene;
    let straddling = 0;
    for (let page = 0; page < PAGES; page++) {
      const slot = scene.slot(page);
      const location = W.payloadOf(peekSlot(node, slot));
      const start = W.locationOffsetBytes(location);
      const length = node.words[W.locationPfn(location) * 1024 + start / 4 + 1];
      if (start + 8 + length > PAGE_BYTES) straddling++;
      for (const [from, end] of pieces(makeRandom(page))) {
        node.bytes[shadowByteAt(node, slot)] = 0;
        node.words[node.touchAt + W.locationPfn(location)] = 0;
        const age = node.words[L.H_AGE];
        const bucket = ageBucket(node);
        assert.equal(scene.read(page, from, end), READ_TRANSIENT);
        assert.deepEqual(bytesRead(node, from, end - from), makePage(page, 'text').subarray(from, end));
        assert.equal(node.words[L.H_AGE], age + 1);
        assert.equal(node.bytes[shadowByteAt(node, slot)], bucket);
        assert.equal(node.words[node.touchAt + W.locationPfn(location)], 1);
      }
    }
    assert.ok(straddling > PAGES / 8 && straddling < PAGES, `${straddling} straddle`);
  });

  it('leaves a page that is wanted again soon to be brought in', () => {
    const scene = new Scene();
    scene.fill('text', 1);
    scene.evict();
    const { node } = scene;
    const at = shadowByteAt(node, scene.slot(0));
    const bucket = ageBucket(node);
    node.bytes[at] = bucket;
    assert.equal(scene.read(0, 0, 10), READ_TRANSIENT);
    assert.equal(node.bytes[at], shadowOfTouch(bucket, bucket), 'close');
    scene.expectOtherwise(0);
    node.bytes[at] = shadowOfTouch(bucket - PROMOTE_BUCKETS, bucket - PROMOTE_BUCKETS);
    assert.equal(scene.read(0, 0, 10), READ_TRANSIENT);
    assert.equal(node.bytes[at], bucket);
  });

  it('leaves what is no object of its own by LZ4', () => {
    for (const kind of ['zero', 'same'] as const) {
      const scene = new Scene();
      scene.fill(kind, 8);
      scene.evict();
      scene.expectOtherwise(3);
    }
    const absent = new Scene();
    absent.fill('text', 1);
    absent.expectOtherwise(1);
    for (const shape of [{ poolZstd: 1 }, { isVirtual: false }]) {
      const scene = new Scene(shape);
      scene.fill('text', 8);
      scene.evict();
      scene.expectOtherwise(3);
    }
    const units = new Scene({}, 'sequential');
    units.fill('text', 8 * UNIT_PAGES);
    units.evict();
    units.expectOtherwise(UNIT_PAGES);
  });

  it('reads a page that is kept raw in its frame, and leaves one whose slot moves on', () => {
    const scene = new Scene();
    scene.fill('noise', 8);
    scene.evict();
    const { node } = scene;
    const slot = scene.slot(3);
    const frame = W.payloadOf(peekSlot(node, slot));
    assert.equal(W.tagOf(peekSlot(node, slot)), W.SLOT_RAW);
    for (const [from, end] of pieces(makeRandom(3))) {
      node.words[node.touchAt + frame] = 0;
      const age = node.words[L.H_AGE];
      const how = scene.read(3, from, end);
      assert.equal(how, end - from > RESIDENT_MAX ? READ_OTHERWISE : READ_RESIDENT);
      assert.equal(node.words[L.H_AGE], age, 'nobody is older for it');
      if (how === READ_OTHERWISE) continue;
      assert.equal(node.words[node.touchAt + frame], 1);
      assert.deepEqual(bytesRead(node, from, end - from), makePage(3, 'noise').subarray(from, end));
    }
  });

  it('reads nothing under an old generation, or when the instance is not open', () => {
    const scene = new Scene();
    scene.fill('text', 1);
    const { node } = scene;
    const at = regionAt(scene.space.region) + L.R_GENERATION;
    const readUnder = (generation: number): number =>
      node.kernel.readPage(node.readBlock, at << 2, generation, scene.entryAt(0) << 2, 0, 10, ageBucket(node));
    assert.equal(readUnder(node.words[at]), READ_RESIDENT);
    assert.equal(readUnder(node.words[at] - 1), READ_OTHERWISE);
    node.words[L.H_STATE] = L.STATE_FAILED;
    assert.equal(readUnder(node.words[at]), READ_OTHERWISE);
    node.words[L.H_STATE] = L.STATE_OPEN;
  });

  it('says nothing of a page whose object is damaged', () => {
    const scene = new Scene();
    scene.fill('text', 1);
    scene.evict();
    const { node } = scene;
    const location = W.payloadOf(peekSlot(node, scene.slot(0)));
    const at = W.locationPfn(location) * PAGE_BYTES + W.locationOffsetBytes(location) + 8;
    node.bytes.fill(0, at, at + 64);
    scene.expectOtherwise(0, 0, PAGE_BYTES);
  });
});

const HOSTILE_READS = 4000;
/** Where a reader's guesses lead: mostly close to what could be meant. */
function hostileWord(node: Node, random: Random): number {
  const pfn = random.below(node.frames + 8);
  switch (random.below(8)) {
    case 0:
      return pteFromFrame(pfn as Pfn);
    case 1:
      return pteFromSlot(random.below(1 << 12) as SlotIndex);
    case 2:
    case 3:
      return W.slotWord(W.SLOT_OBJECT, W.objectLocation(pfn, random.below(256) * 16));
    case 4:
      return random.below(node.frames * 1024);
    case 5:
      return random.below(PAGE_BYTES + 64);
    case 6:
      return pfn;
    default:
      return random.below(2 ** 32);
  }
}

describe('readPage over memory that makes no sense', () => {
  it('finds no slot in a table that begins just before the end of memory', () => {
    const { node } = createTestInstance({ bytes: 2 * MIB });
    const chunk = node.frames - 3;
    const root = L.CLUSTER_ROOTS - 1;
    const entryAt = chunk * 1024 + 512;
    node.words[L.CLUSTER_ROOTS_AT + root] = chunk;
    for (const table of [node.frames * 1024 - 100, -100]) {
      node.words[chunk * 1024] = table;
      node.words[entryAt] = pteFromSlot(((root << 16) | 300) as SlotIndex);
      assert.equal(readEntry(node, entryAt, 0, 100), READ_OTHERWISE);
    }
  });

  it(`${HOSTILE_READS} reads end, and write nothing that is not theirs`, (test) => {
    const seed = runSeed();
    test.diagnostic(`seed ${seed}`);
    const { node } = createTestInstance({ bytes: 2 * MIB });
    const block = node.words.slice(node.readBlock / 4, node.readBlock / 4 + L.READ_BLOCK_WORDS);
    const target = node.areaByte + L.AREA_LZ4_TABLE;
    let resident = 0;
    let decoded = 0;
    for (let i = 0; i < HOSTILE_READS; i++) {
      const random = makeRandom(seed + i);
      if (i % 100 === 0) scribble(node, random, block);
      const entryAt = placeOutside(random, node.frames * 1024, node.readBlock / 4);
      const entry = random.below(2) === 0 ? pteFromSlot(random.below(1 << 12) as SlotIndex) : hostileWord(node, random);
      node.words[entryAt] = entry;
      const before = Buffer.from(node.bytes);
      const from = random.below(PAGE_BYTES);
      const how = readEntry(node, entryAt, from, from + 1 + random.below(PAGE_BYTES - from));
      if (how === READ_RESIDENT) resident++;
      else if (before.compare(node.bytes, target, target + PAGE_BYTES, target, target + PAGE_BYTES) !== 0) decoded++;
      const touches = node.touchAt * 4;
      expectUntouched(node, before, [
        [touches, touches + node.frames * 4],
        [node.shadowsByte, node.shadowsByte + node.shadowMask + 1],
        [L.H_AGE * 4, L.H_AGE * 4 + 4],
        [node.readBlock + FOUND_SLOT * 4, node.readBlock + L.READ_BLOCK_WORDS * 4],
      ]);
    }
    assert.ok(resident > 0 && decoded > 0, `${resident} were copied, ${decoded} got to the decoder, seed ${seed}`);
  });
});

/** A word below `words` that is none of the block's. */
function placeOutside(random: Random, words: number, block: number): number {
  const at = random.below(words - L.READ_BLOCK_WORDS);
  return at < block ? at : at + L.READ_BLOCK_WORDS;
}

/** Anything anywhere, but for the block, which only its thread writes. */
function scribble(node: Node, random: Random, block: Int32Array): void {
  for (let at = 0; at < node.words.length; at++) node.words[at] = hostileWord(node, random);
  // Some ways lead on: roots to chunks, descriptors to tables.
  for (let root = 0; root < L.CLUSTER_ROOTS; root++)
    node.words[L.CLUSTER_ROOTS_AT + root] = 1 + random.below(node.frames);
  for (let chunk = 1; chunk < node.frames; chunk++) {
    for (let at = 0; at < L.CLUSTER_CHUNK; at += 16) {
      node.words[chunk * 1024 + at * L.CLUSTER_DESCRIPTOR_WORDS] = random.below(node.frames * 1024);
    }
  }
  node.words.set(block, node.readBlock / 4);
  assert.equal(node.words[node.readBlock / 4 + 4], L.SEQUENCES_AT * 4, 'the block names the sequence words');
  assert.equal(sequenceAt(0), L.SEQUENCES_AT);
}
