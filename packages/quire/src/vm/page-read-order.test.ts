/**
 * The kernel `readPage` as it is shipped, stopped before each of its loads: they come in the order that the model of page-read.interleaving.test.ts has, and
 * whatever others do between two of them, a read has the page's bytes.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LOADS_STAY_IN_ORDER } from '../arena/fence.ts';
import {
  KIND_CACHED,
  KIND_FREE,
  KIND_MASK,
  KIND_NEW,
  KIND_REGION,
  KIND_ZS,
  KIND_ZS_TAIL,
  kindOf,
  orderOf,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { isPresent, slotFromPte } from '../arena/pte.ts';
import { MIB, NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { type OnAccess, tracedKernel } from '../codec/testing/traced-kernel.ts';
import { migrateLocked } from '../compaction/migrate.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { allocLocked, freeToBuddyLocked } from '../page-alloc/page-allocator.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { ageBucket, shadowByteAt } from '../reclaim/working-set.ts';
import { compactPool } from '../swap/pool-compactor.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot, sequenceAt, slotAt } from '../swap/swap-table.ts';
import { evict } from '../testing/file-tier-scene.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import { READ_OTHERWISE, READ_RESIDENT, READ_TRANSIENT } from './page-read.ts';
import type { RegionSpace } from './region-space.ts';
import { fillMemory, headerOf, loadsOf, PLACES_END, WHOLE } from './testing/page-read-model.ts';

/** Pages whose objects are short, so that the kernel makes few loads: a few numbers, then one byte over and over. */
const PAGES = 120;
/** Of the objects' second parts no load shows when `memory.copy` fetches them, from this length on. */
const COPY_MIN = 256;
const PIECE = 200;

function pageOf(page: number, turn = 0): Uint8Array {
  const bytes = new Uint8Array(PAGE_BYTES).fill(page + 1);
  for (let at = 0; at < 700 + ((page * 37) % 300); at++) bytes[at] = Math.imul(page * 7 + turn + 1, at * at + 17) >>> 7;
  return bytes;
}

class Scene {
  readonly instance: TestInstance = createTestInstance({ bytes: 4 * MIB });
  readonly node: Node = this.instance.node;
  readonly space: RegionSpace = this.instance.space(2 * MIB, '', 'random');
  /** The thread that reads; everything else is done by the first. */
  readonly reader: Node = this.instance.join().nodes[0];
  /** Told of each access of the kernel `readPage`, while there is one. */
  onAccess: OnAccess | undefined;

  private readonly traced = tracedKernel(this.node.memory, (at, bytes, isStore) => this.onAccess?.(at, bytes, isStore));

  constructor() {
    for (let page = 0; page < PAGES; page++) this.space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
  }

  evict(): void {
    evict(this.instance);
    this.node.words[L.H_AGE] += this.node.frames;
  }

  entryAt(page: number): number {
    return findLeaf(this.node, this.space.region, 0) + page;
  }

  location(page: number): number {
    return W.payloadOf(peekSlot(this.node, slotFromPte(this.node.words[this.entryAt(page)])));
  }

  /** Bytes of the page's object in its first frame, and behind that. */
  parts(page: number): readonly [number, number] {
    const location = this.location(page);
    const start = W.locationOffsetBytes(location) + 8;
    const length = this.node.words[W.locationPfn(location) * 1024 + start / 4 - 1];
    const first = Math.min(length, PAGE_BYTES - start);
    return [first, length - first];
  }

  /** A page whose object lies in one frame, or across two with both parts to be seen. */
  pageWith(isStraddling: boolean): number {
    for (let page = 0; page < PAGES; page++) {
      const [first, second] = this.parts(page);
      if (isStraddling ? second > 0 && first > 0 && Math.min(first, second) < COPY_MIN : second === 0) return page;
    }
    throw new Error('no page is stored so');
  }

  read(page: number): number {
    const { reader } = this;
    return this.traced.readPage(reader.readBlock, 0, 0, this.entryAt(page) << 2, 0, PIECE, ageBucket(reader));
  }
}

/** Hints that no outcome depends on but whether a page is brought in: not in the model. */
const HINTS = ['shadow', 'touch', 'age'];

/** What the kernel loads of shared memory, by name; neighbours of one name once. */
function namesOfLoads(scene: Scene, page: number): string[] {
  const { node } = scene;
  const entryAt = scene.entryAt(page);
  const pte = node.words[entryAt];
  const slot = isPresent(pte) ? -1 : slotFromPte(pte);
  const wordAt = slot < 0 ? 0 : slotAt(node, slot);
  const chunk = node.words[L.CLUSTER_ROOTS_AT];
  const header =
    slot < 0 ? 0 : W.locationPfn(scene.location(page)) * PAGE_BYTES + W.locationOffsetBytes(scene.location(page)) + 4;
  const own = scene.reader.areaByte;
  const isIn = (at: number, array: number) => at >= array * 4 && at < (array + node.frames) * 4;
  const nameOf = (at: number): string => {
    if (at === entryAt * 4) return 'entry';
    if (at === header) return 'header';
    if (slot >= 0 && at === sequenceAt(slot) * 4) return 'sequence';
    if (slot >= 0 && at === shadowByteAt(node, slot)) return 'shadow';
    if (at === wordAt * 4) return 'word';
    if (at === L.CLUSTER_ROOTS_AT * 4) return 'root';
    if (at >= chunk * PAGE_BYTES && at < (chunk + 1) * PAGE_BYTES) return 'table';
    if (at === L.H_AGE * 4) return 'age';
    if (isIn(at, node.versionAt)) return 'version';
    if (isIn(at, node.touchAt)) return 'touch';
    if (isIn(at, node.slotAt)) return 'next';
    return at >= own && at < own + (PAGE_BYTES << L.AREA_ORDER)
      ? 'own'
      : at >= node.firstFree * PAGE_BYTES
        ? 'bytes'
        : `byte ${at}`;
  };
  const names: string[] = [];
  scene.onAccess = (at, _bytes, isStore) => {
    const name = isStore ? 'own' : nameOf(at);
    if (name === 'own' || HINTS.includes(name) || isOfBlock(scene.reader, at)) return;
    if (names.at(-1) !== name) names.push(name);
  };
  const how = scene.read(page);
  scene.onAccess = undefined;
  assert.equal(how, slot < 0 ? READ_RESIDENT : READ_TRANSIENT);
  return names;
}

function isOfBlock(node: Node, at: number): boolean {
  return at >= node.readBlock && at < node.readBlock + 64;
}

function modelled(isResident: boolean, header?: number): string[] {
  const memory = Array.from({ length: PLACES_END }, () => 0);
  fillMemory(memory, isResident, 1);
  if (header !== undefined) memory[headerOf(0)] = header;
  const loads = loadsOf(memory);
  // The closing load of ARM64 is a read-modify-write, which is not seen here.
  return LOADS_STAY_IN_ORDER ? loads : loads.slice(0, -1);
}

describe('loads of readPage', () => {
  it('are those of the model, in its order', () => {
    const scene = new Scene();
    assert.deepEqual(namesOfLoads(scene, 3), modelled(true));
    scene.evict();
    assert.deepEqual(namesOfLoads(scene, scene.pageWith(true)), modelled(false));
    assert.deepEqual(namesOfLoads(scene, scene.pageWith(false)), modelled(false, WHOLE));
  });
});

/** What another thread does at a moment of the read; then all memory that is free is overwritten, as its next user would. */
type Action = (scene: Scene, page: number) => void;

function spoilFree(node: Node): void {
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    const kind = node.words[node.kindAt + pfn] & KIND_MASK;
    if (kind !== KIND_FREE && kind !== KIND_CACHED) continue;
    node.bytes.fill(0xee, pfn * PAGE_BYTES, (pfn + (1 << orderOf(node, pfn as Pfn))) * PAGE_BYTES);
  }
}

function migrate(node: Node, from: Pfn): void {
  locked(node, () => {
    const to = allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_RECLAIM, KIND_NEW);
    assert.notEqual(to, NO_PFN);
    freeToBuddyLocked(node, migrateLocked(node, from, to) ? from : to);
  });
}

/** Every frame that the page's bytes are in, and all others of the pool. */
const migrateAll: Action = ({ node }) => {
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    if ([KIND_REGION, KIND_ZS, KIND_ZS_TAIL].includes(kindOf(node, pfn as Pfn))) migrate(node, pfn as Pfn);
  }
};

const otherOf = (page: number): number => (page + 1) % PAGES;
const newPage = (page: number): Uint8Array => pageOf(page, 5);
const evictAll: Action = ({ instance }) => evict(instance);
const discard: Action = ({ space }, page) => space.discard(page * PAGE_BYTES, PAGE_BYTES);
const rewrite: Action = ({ space }, page) => space.write(page * PAGE_BYTES, newPage(page), 0, PAGE_BYTES);
/** Another page takes what this one leaves: frame, slot and place of its object. */
const replace: Action = (scene, page) => {
  discard(scene, page);
  const other = otherOf(page);
  scene.space.write(other * PAGE_BYTES, pageOf(other, 9), 0, PAGE_BYTES);
  evict(scene.instance);
};
/** Leaves every zspage sparse, and compacts them. */
const compact: Action = ({ node, space }, page) => {
  for (let other = 0; other < PAGES; other++) {
    if (other !== page && other % 5 !== 0) space.discard(other * PAGE_BYTES, PAGE_BYTES);
  }
  assert.ok(compactPool(node, 4096) > 0);
};
const goOutAgain: Action = (scene, page) => {
  rewrite(scene, page);
  evict(scene.instance);
};

const ACTIONS: Record<string, Action> = {
  evictAll,
  discard,
  rewrite,
  replace,
  compact,
  migrateAll,
  goOutAgain,
};

/** Runs the action before access after access of a read, memory put back in between. Returns the contents that reads had. */
function contentsAround(scene: Scene, page: number, action: Action, isOwn: (got: Uint8Array) => boolean): string[] {
  const { node } = scene;
  const saved = Uint8Array.from(node.bytes);
  const found: string[] = [];
  for (let moment = 0, isOver = false; !isOver; moment += moment < 60 ? 1 : 3) {
    let count = 0;
    isOver = true;
    scene.onAccess = () => {
      if (count++ !== moment) return;
      isOver = false;
      scene.onAccess = undefined;
      action(scene, page);
      spoilFree(node);
    };
    const how = scene.read(page);
    scene.onAccess = undefined;
    const start = scene.reader.areaByte + L.AREA_LZ4_TABLE;
    const got = node.bytes.slice(start, start + PIECE);
    if (how !== READ_OTHERWISE && !isOver) found.push(isOwn(got) ? 'this page' : `another at ${moment}`);
    node.bytes.set(saved);
  }
  return found;
}

function ownBytes(page: number): (got: Uint8Array) => boolean {
  const before = pageOf(page).subarray(0, PIECE);
  const after = newPage(page).subarray(0, PIECE);
  // A page that is written to where it is may be seen half written.
  return (got) => got.every((byte, at) => byte === before[at] || byte === after[at]);
}

describe('readPage, stopped before each of its accesses', () => {
  for (const where of ['in a frame', 'in one part', 'in two parts'] as const) {
    it(`gives a page's own bytes or none: ${where}`, () => {
      const scene = new Scene();
      if (where !== 'in a frame') scene.evict();
      const page = where === 'in a frame' ? 3 : scene.pageWith(where === 'in two parts');
      let read = 0;
      for (const [name, action] of Object.entries(ACTIONS)) {
        if (where === 'in a frame' && name === 'compact') continue;
        const found = contentsAround(scene, page, action, ownBytes(page));
        assert.deepEqual(
          found.filter((what) => what !== 'this page'),
          [],
          name,
        );
        read += found.length;
      }
      assert.ok(read > 0, 'none was read at once');
      scene.instance.check();
    });
  }

  it('broken: a kernel that is told of words that never move gives the bytes of others', () => {
    const VERSIONS_FIELD = 1;
    const SEQUENCES_FIELD = 4;
    for (const isResident of [true, false]) {
      const scene = new Scene();
      if (!isResident) scene.evict();
      const { node, reader } = scene;
      const blind = reader.readBlock / 4 + (isResident ? VERSIONS_FIELD : SEQUENCES_FIELD);
      // Nobody changes what is in the reader's staging buffer.
      node.words[blind] = reader.areaByte + L.AREA_STAGING;
      const page = isResident ? 3 : scene.pageWith(false);
      const found = contentsAround(scene, page, isResident ? discard : replace, ownBytes(page));
      assert.ok(
        found.some((what) => what.startsWith('another')),
        [...new Set(found)].join(),
      );
    }
  });
});
