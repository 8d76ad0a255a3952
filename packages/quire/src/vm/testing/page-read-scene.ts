/**
 * Pages in one of the places that the kernel `readPage` reads, and a thread that reads one of them by kernels that tell of each access (vm/page-read-order.test.ts).
 */
import * as L from '../../arena/layout.ts';
import type { Node } from '../../arena/node.ts';
import { isPresent, slotFromPte } from '../../arena/pte.ts';
import { MIB, PAGE_BYTES, type SlotIndex } from '../../base/units.ts';
import { type OnAccess, tracedKernel } from '../../codec/testing/traced-kernel.ts';
import { findLeaf, regionAt } from '../../page-table/page-table.ts';
import { ageBucket, shadowByteAt } from '../../reclaim/working-set.ts';
import { Demoter } from '../../swap/demoter.ts';
import { Reclaimer } from '../../swap/reclaimer.ts';
import * as W from '../../swap/slot-word.ts';
import { peekSlot, sequenceAt, slotAt } from '../../swap/swap-table.ts';
import { evict } from '../../testing/file-tier-scene.ts';
import type { MemoryDevice } from '../../testing/memory-device.ts';
import { makePage } from '../../testing/page-data.ts';
import { createTestInstance, type TestInstance } from '../../testing/test-instance.ts';
import { cloneRegion } from '../clone.ts';
import { readOnFile } from '../file-read.ts';
import { joinInstance } from '../instance.ts';
import { placeOfRead, READ_ON_FILE, READ_OTHERWISE } from '../page-read.ts';
import type { RegionSpace } from '../region-space.ts';

/** Pages whose objects are short, so that the kernel makes few loads: a few numbers, then one byte over and over. */
export const PAGES = 120;
/** Of the objects' second parts no load shows when `memory.copy` fetches them, from this length on. */
const COPY_MIN = 256;
export const PIECE = 200;
const CRC_TABLE_BYTES = 8 * 256 * 4;
/** Stands for the address of what a read of the device is of. */
const DEVICE = -1;

function pageOf(page: number, turn = 0): Uint8Array {
  const bytes = new Uint8Array(PAGE_BYTES).fill(page + 1);
  for (let at = 0; at < 700 + ((page * 37) % 300); at++) bytes[at] = Math.imul(page * 7 + turn + 1, at * at + 17) >>> 7;
  return bytes;
}

function noisePage(page: number, turn = 0): Uint8Array {
  return makePage(page + turn * PAGES, 'noise');
}

/** Where the pages are. */
export type Where = 'in a frame' | 'in flight' | 'in two regions' | 'raw' | 'in one part' | 'in two parts' | 'on file';
export const WHERE: readonly Where[] = [
  'in a frame',
  'in flight',
  'in two regions',
  'raw',
  'in one part',
  'in two parts',
  'on file',
];

export class Scene {
  readonly where: Where;
  readonly instance: TestInstance;
  readonly node: Node;
  readonly space: RegionSpace;
  readonly device: MemoryDevice;
  /** The thread that reads; everything else is done by the first. */
  readonly reader: Node;
  /** Told of each access of the reader's kernels, and of its reads of the device, while there is one. */
  onAccess: OnAccess | undefined;
  readonly page: number;
  /** First byte that is read: on file one of the second part. */
  readonly from: number;
  /** What the kernels are told; 0: not to look at the generation. */
  generationAt: number;

  constructor(where: Where) {
    this.where = where;
    this.from = where === 'on file' ? 1100 : 0;
    this.instance = createTestInstance({
      bytes: 4 * MIB,
      fileBytes: 2 * MIB,
      kcompressd: where === 'in flight' ? 1 : 0,
    });
    this.node = this.instance.node;
    this.device = this.instance.device;
    this.space = this.instance.space(2 * MIB, '', 'random');
    const traced = tracedKernel(this.node.memory, (at, bytes, isStore) => this.onAccess?.(at, bytes, isStore));
    this.reader = joinInstance(this.instance.memories, () => traced).nodes[0];
    this.generationAt = regionAt(this.space.region) + L.R_GENERATION;
    for (let page = 0; page < PAGES; page++) this.space.write(page * PAGE_BYTES, this.contentOf(page), 0, PAGE_BYTES);
    // The other half of the frame that the leaf is in stays in use: the leaf is the next to be given to a region.
    this.instance.space(2 * MIB).write(0, this.contentOf(0), 0, PAGE_BYTES);
    this.putAway();
    this.page = this.pickPage();
  }

  contentOf(page: number, turn = 0): Uint8Array {
    return this.where === 'raw' || this.where === 'on file' ? noisePage(page, turn) : pageOf(page, turn);
  }

  /** What a read has when the page holds its content number `turn`. */
  piece(turn: number): Uint8Array {
    return this.contentOf(this.page, turn).slice(this.from, this.from + PIECE);
  }

  /** Pages that are mapped go to where this scene has its pages. */
  putAway(): void {
    const { instance, node } = this;
    if (this.where === 'in a frame') return;
    if (this.where === 'in two regions') cloneRegion(instance.memory, this.space.region, '', '');
    else if (this.where === 'in flight') {
      // Into the ring, that nobody drains; the rest stays mapped.
      const reclaimer = new Reclaimer(node, undefined);
      for (let round = 0; round < 50 && node.words[L.H_INFLIGHT] === 0; round++) reclaimer.round(true, false);
    } else evict(instance);
    if (this.where === 'on file') demoteAll(this.instance);
    // No read is close to another: none brings its page in.
    node.bytes.fill(0, node.shadowsByte, node.shadowsByte + node.shadowMask + 1);
  }

  private pickPage(): number {
    const { where } = this;
    if (where === 'in one part' || where === 'in two parts') return this.pageWith(where === 'in two parts');
    const tags: Partial<Record<Where, number>> = {
      'in flight': W.SLOT_FRAME,
      'in two regions': W.SLOT_FRAME,
      raw: W.SLOT_RAW,
      'on file': W.SLOT_FILE,
    };
    for (let page = 3; page < PAGES; page++) {
      if (this.isMapped(page) ? where === 'in a frame' : W.tagOf(peekSlot(this.node, this.slot(page))) === tags[where])
        return page;
    }
    throw new Error(`no page is ${where}`);
  }

  isMapped(page = this.page): boolean {
    return isPresent(this.node.words[this.entryAt(page)]);
  }

  entryAt(page = this.page): number {
    return findLeaf(this.node, this.space.region, 0) + page;
  }

  slot(page = this.page): SlotIndex {
    return slotFromPte(this.node.words[this.entryAt(page)]);
  }

  location(page = this.page): number {
    return W.payloadOf(peekSlot(this.node, this.slot(page)));
  }

  /** Bytes of the page's object in its first frame, and behind that. */
  private parts(page: number): readonly [number, number] {
    const location = this.location(page);
    const start = W.locationOffsetBytes(location) + 8;
    const length = this.node.words[W.locationPfn(location) * 1024 + start / 4 - 1];
    const first = Math.min(length, PAGE_BYTES - start);
    return [first, length - first];
  }

  /** A page whose object lies in one frame, or across two with both parts to be seen. */
  private pageWith(isStraddling: boolean): number {
    for (let page = 0; page < PAGES; page++) {
      const [first, second] = this.parts(page);
      if (isStraddling ? second > 0 && first > 0 && Math.min(first, second) < COPY_MIN : second === 0) return page;
    }
    throw new Error('no page is stored so');
  }

  /** As `RegionSpace.readAtOnce`, with the leaf looked up before. Undefined: left to openRead. */
  read(): Uint8Array | undefined {
    const { reader, device, from } = this;
    const entryAt = this.entryAt();
    const generation = this.generationAt === 0 ? 0 : this.node.words[this.generationAt];
    const bucket = ageBucket(reader);
    const at = [this.generationAt << 2, generation] as const;
    const how = reader.kernel.readPage(reader.readBlock, ...at, entryAt << 2, from, from + PIECE, bucket);
    if (how === READ_OTHERWISE) return undefined;
    const place = placeOfRead(reader, from);
    if (how === READ_ON_FILE) {
      reader.ahead.rawScore = 3;
      device.plan = () => this.noteDevice();
      device.duringRead = () => this.noteDevice();
      const isRead = readOnFile(reader, device, ...at, from, from + PIECE, bucket, place);
      this.leaveDevice();
      if (!isRead) return undefined;
    }
    return this.node.bytes.slice(place, place + PIECE);
  }

  leaveDevice(): void {
    this.device.plan = undefined;
    this.device.duringRead = undefined;
  }

  private noteDevice(): undefined {
    this.onAccess?.(DEVICE, 0, false);
    return undefined;
  }
}

export function demoteAll({ node, device }: TestInstance): void {
  const demoter = new Demoter(node, device);
  for (let turn = 0; turn < 500 && node.words[L.H_ZS_FRAMES] + node.words[L.H_RAW_FRAMES] > 0; turn++) demoter.demote();
}

/** Hints that no outcome depends on but whether a page is brought in: not in the model. */
const HINTS = ['shadow', 'touch', 'age'];

/** Names what an access of the read is to; undefined: to what only this thread changes, or to a hint. */
export function namer(scene: Scene): (at: number, isStore: boolean) => string | undefined {
  const { node, reader } = scene;
  const entryAt = scene.entryAt();
  const slot = scene.isMapped() ? -1 : scene.slot();
  const location = slot < 0 ? 0 : scene.location();
  const header = W.locationPfn(location) * PAGE_BYTES + W.locationOffsetBytes(location) + 4;
  const chunk = node.words[L.CLUSTER_ROOTS_AT];
  const words: readonly (readonly [number, string])[] = [
    [L.H_STATE, 'state'],
    [scene.generationAt, 'generation'],
    [entryAt, 'entry'],
    [L.CLUSTER_ROOTS_AT, 'root'],
    [L.H_AGE, 'age'],
    ...(slot < 0 ? [] : [[sequenceAt(slot), 'sequence'] as const, [slotAt(node, slot), 'word'] as const]),
  ];
  const names = new Map<number, string>(words.map(([word, name]) => [word * 4, name]));
  if (slot >= 0) names.set(shadowByteAt(node, slot), 'shadow');
  if (scene.where.endsWith('part') || scene.where.endsWith('parts')) names.set(header, 'header');
  const isIn = (at: number, from: number, bytes: number) => at >= from && at < from + bytes;
  const nameOf = (at: number): string => {
    const name = names.get(at);
    if (name !== undefined) return name;
    if (at === DEVICE) return 'device';
    if (isIn(at, chunk * PAGE_BYTES, PAGE_BYTES)) return 'table';
    if (isIn(at, node.versionAt * 4, node.frames * 4)) return 'version';
    if (isIn(at, node.touchAt * 4, node.frames * 4)) return 'touch';
    if (isIn(at, node.slotAt * 4, node.frames * 4)) return 'next';
    if (isIn(at, L.CRC_TABLE_AT * 4, CRC_TABLE_BYTES)) return 'own';
    if (isIn(at, reader.readBlock, L.READ_BLOCK_WORDS * 4)) return 'own';
    if (isIn(at, reader.areaByte, PAGE_BYTES << L.AREA_ORDER)) return 'own';
    return at >= node.firstFree * PAGE_BYTES ? 'bytes' : `byte ${at}`;
  };
  return (at, isStore) => {
    const name = isStore ? 'own' : nameOf(at);
    return name === 'own' || HINTS.includes(name) ? undefined : name;
  };
}
