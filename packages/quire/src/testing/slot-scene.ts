/**
 * A swap table by itself, for tests: several threads' views, a shadow of who holds which slot, memory that can be made to
 * fail, and an oracle that says by brute force whether an allocation has to succeed.
 */
import assert from 'node:assert/strict';
import { KIND_TABLE, kindOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { MIB, PAGE_WORDS, type Pfn, type SlotIndex } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { groupAt } from '../reclaim/group.ts';
import { CLUSTER_ORDERS, clusterOrder, clusterState, STATE_CURRENT, STATE_FREE } from '../swap/cluster.ts';
import { allocRunLocked, allocSlotLocked } from '../swap/slot-alloc.ts';
import { freeRowLocked, freeSlotLocked, markBadLocked } from '../swap/slot-free.ts';
import { MIXED, NOBODYS, ownerCode } from '../swap/slot-group.ts';
import { allocInRowLocked, endSlotRowLocked } from '../swap/slot-row.ts';
import { SLOT_BAD, SLOT_EMPTY, SLOT_FRAME, SLOT_FREE, slotWord } from '../swap/slot-word.ts';
import { checkSwapTable } from '../swap/swap-check.ts';
import { D_TABLE, descriptorAt, NO_SLOT, peekSlot } from '../swap/swap-table.ts';
import { createTestInstance, locked, type TestInstance } from './test-instance.ts';

/** What an allocation finds: frames for tables (chunks take one each), parts of 2 KiB and of 512 bytes in frames that are there. */
export interface TableMemory {
  readonly frames: number;
  readonly parts: boolean;
}

export const PLENTY: TableMemory = { frames: Number.MAX_SAFE_INTEGER, parts: true };
export const NOTHING: TableMemory = { frames: 0, parts: false };

interface Saved {
  readonly ranges: Int32Array[];
  readonly tables: [pfn: number, words: Int32Array][];
  readonly held: SlotIndex[];
  readonly owners: Int8Array;
  readonly bad: SlotIndex[];
}

export class SlotScene {
  readonly instance: TestInstance;
  readonly views: readonly Node[];
  readonly node: Node;
  /** Slots in use, in the order they were taken. */
  held: SlotIndex[] = [];
  readonly bad = new Set<SlotIndex>();
  /** Group + 1 of each slot in use. Slots are handed out from the lowest cluster. */
  private readonly owners = new Int8Array(L.CLUSTER_SLOTS * L.CLUSTER_CHUNK * 2);

  constructor(threads: number) {
    this.instance = createTestInstance({ bytes: 2 * MIB, areas: threads });
    this.node = this.instance.node;
    this.views = [this.node, ...Array.from({ length: threads - 1 }, () => this.instance.join().nodes[0])];
  }

  set slotsMax(slots: number) {
    this.node.words[L.H_SLOTS_MAX] = slots;
  }

  /** At most `slots` slots for the group; undefined: no limit. */
  limit(group: number, slots: number | undefined): void {
    this.node.home[groupAt(group) + L.G_SWAP_LIMIT_PAGES] = slots === undefined ? 0 : slots + 1;
  }

  /** A run of 2^order slots, or NO_SLOT. Throws when the outcome is not what the oracle says, or a failure left a trace. */
  alloc(thread: number, order: number, group: number, memory: TableMemory = PLENTY): SlotIndex {
    const node = this.views[thread];
    const must = this.canAlloc(thread, order, group, memory);
    const before = must === false ? this.trace() : undefined;
    const base = this.with(memory, () =>
      locked(node, () =>
        order === 0
          ? allocSlotLocked(node, slotWord(SLOT_EMPTY, 1), GFP_RECLAIM, group)
          : allocRunLocked(node, new Int32Array(1 << order).fill(100), GFP_RECLAIM, group),
      ),
    );
    assert.equal(base !== NO_SLOT, must, `2^${order} slots for group ${group} by thread ${thread}`);
    if (before !== undefined) assert.deepEqual(this.trace(), before, 'a failure leaves no trace');
    if (base === NO_SLOT) return base;
    assert.equal(base % (1 << order), 0, 'runs are aligned');
    for (let i = 0; i < 1 << order; i++) {
      const slot = (base + i) as SlotIndex;
      assert.ok(!this.has(slot) && !this.bad.has(slot), 'a slot is given out once');
      assert.equal(peekSlot(node, slot), order === 0 ? slotWord(SLOT_EMPTY, 1) : slotWord(SLOT_FRAME, 100));
      this.owners[slot] = group + 1;
      this.held.push(slot);
    }
    return base;
  }

  /**
   * Slots one by one under one hold of the lock, as reclaim takes them for the pages of a batch, each for its group; `wanted`
   * beyond them are set apart and come back. Throws when an outcome is not what the oracle says.
   */
  allocBatch(thread: number, groups: readonly number[], wanted: number, memory: TableMemory = PLENTY): SlotIndex[] {
    const node = this.views[thread];
    const word = slotWord(SLOT_EMPTY, 1);
    const taken: SlotIndex[] = [];
    this.with(memory, () =>
      locked(node, () => {
        for (const [i, group] of groups.entries()) {
          // What is left of it by now: parts that are hidden are not in the lists either.
          const must = this.canAlloc(thread, 0, group, { frames: node.words[L.H_FREE_FRAMES], parts: true });
          const slot = allocInRowLocked(node, word, group, wanted - i);
          assert.equal(slot !== NO_SLOT, must, `a slot of a batch for group ${group} by thread ${thread}`);
          if (slot === NO_SLOT) continue;
          assert.ok(!this.has(slot) && !this.bad.has(slot), 'a slot is given out once');
          assert.equal(peekSlot(node, slot), word);
          this.owners[slot] = group + 1;
          this.held.push(slot);
          taken.push(slot);
        }
        endSlotRowLocked(node);
      }),
    );
    return taken;
  }

  has(slot: SlotIndex): boolean {
    return this.owners[slot] !== 0;
  }

  free(thread: number, slot: SlotIndex): void {
    assert.ok(this.has(slot), 'slot is held');
    this.forget(slot);
    locked(this.views[thread], () => freeSlotLocked(this.views[thread], slot));
  }

  /** Frees slots as a discarded range does. */
  freeRow(thread: number, slots: readonly SlotIndex[]): void {
    const node = this.views[thread];
    for (const slot of slots) this.forget(slot);
    for (const row of rowsOf(slots)) locked(node, () => freeRowLocked(node, row, row.length));
  }

  markBad(slot: SlotIndex, memory: TableMemory = PLENTY): boolean {
    const isDone = this.with(memory, () => locked(this.node, () => markBadLocked(this.node, slot, GFP_RECLAIM)));
    if (!isDone) return false;
    if (this.has(slot)) this.forget(slot);
    this.bad.add(slot);
    return true;
  }

  private forget(slot: SlotIndex): void {
    this.owners[slot] = 0;
    this.held.splice(this.held.indexOf(slot), 1);
  }

  /** Structures, and every figure against the shadow. */
  check(): void {
    const { words } = this.node;
    const groups = checkSwapTable(this.node);
    assert.equal(words[L.H_SLOTS_USED], this.held.length);
    assert.equal(words[L.H_SLOTS_BAD], this.bad.size);
    const counts = new Int32Array(L.GROUPS_MAX);
    for (const slot of this.held) counts[this.owners[slot] - 1]++;
    assert.deepEqual(groups, counts, 'slots of each group');
    for (let group = 0; group < L.GROUPS_MAX; group++) {
      assert.equal(this.node.home[groupAt(group) + L.G_SWAP_PAGES], counts[group], `charge of group ${group}`);
    }
    for (const node of this.views) assert.equal(node.counters[C.swap_alloc_failed], 0);
  }

  /** By looking at every slot of every table: has the allocation to succeed? */
  private canAlloc(thread: number, order: number, group: number, memory: TableMemory): boolean {
    const { words, home } = this.node;
    const slots = 1 << order;
    if (this.held.length + this.bad.size + slots > words[L.H_SLOTS_MAX]) return false;
    const limit = home[groupAt(group) + L.G_SWAP_LIMIT_PAGES];
    if (limit !== 0 && home[groupAt(group) + L.G_SWAP_PAGES] + slots > limit - 1) return false;
    if (this.canBegin(thread, order, memory)) return true;
    for (const cluster of this.clusters()) {
      const descriptor = descriptorAt(this.node, cluster);
      if (!this.hasRun(descriptor, slots)) continue;
      const owner = ownerCode(this.node, descriptor);
      if (order === 0) {
        if (owner === NOBODYS || owner === MIXED || owner === group + 1 || this.hasPart(1, memory)) return true;
        continue;
      }
      const mine = words[this.views[thread].threadAt + L.T_CLUSTER + order] - 1;
      const isMine = cluster === mine && (owner === group + 1 || owner === NOBODYS);
      const isListed = clusterState(this.node, descriptor) !== STATE_CURRENT && owner === group + 1;
      if (isMine || (isListed && clusterOrder(this.node, descriptor) === order)) return true;
    }
    return false;
  }

  /** Can a cluster that has no table be taken into use? */
  private canBegin(thread: number, order: number, memory: TableMemory): boolean {
    const { words } = this.node;
    if (!this.hasPart(0, memory)) return false;
    if (words[L.H_CLUSTER_FREE] !== 0) return true;
    const mine = words[this.views[thread].threadAt + L.T_CLUSTER + order] - 1;
    if (mine >= 0 && words[descriptorAt(this.node, mine) + D_TABLE] === 0) return true;
    // A chunk takes a frame, and so does the table unless a part is there.
    return memory.frames >= (memory.parts && words[L.H_SLAB_PARTIAL] !== 0 ? 1 : 2);
  }

  private hasPart(size: number, memory: TableMemory): boolean {
    return memory.frames > 0 || (memory.parts && this.node.words[L.H_SLAB_PARTIAL + size] !== 0);
  }

  private hasRun(descriptor: number, slots: number): boolean {
    const { words } = this.node;
    const table = words[descriptor + D_TABLE];
    for (let index = 0; table !== 0 && index < L.CLUSTER_SLOTS; index += slots) {
      let used = 0;
      for (let i = table + index; i < table + index + slots; i++) used |= words[i] ^ SLOT_FREE;
      if (used === 0) return true;
    }
    return false;
  }

  /** Clusters that are not FREE. */
  *clusters(): Generator<number> {
    for (let root = 0; root < L.CLUSTER_ROOTS; root++) {
      if (this.node.words[L.CLUSTER_ROOTS_AT + root] === 0) continue;
      for (let index = 0; index < L.CLUSTER_CHUNK; index++) {
        const cluster = root * L.CLUSTER_CHUNK + index;
        if (clusterState(this.node, descriptorAt(this.node, cluster)) !== STATE_FREE) yield cluster;
      }
    }
  }

  private with<T>(memory: TableMemory, work: () => T): T {
    const { words } = this.node;
    const free = words[L.H_FREE_FRAMES];
    const shown = Math.min(free, memory.frames);
    const parts = words.slice(L.H_SLAB_PARTIAL, L.H_SLAB_PARTIAL + 2);
    words[L.H_FREE_FRAMES] = shown;
    if (!memory.parts) words.fill(0, L.H_SLAB_PARTIAL, L.H_SLAB_PARTIAL + 2);
    try {
      return work();
    } finally {
      words[L.H_FREE_FRAMES] += free - shown;
      if (!memory.parts) this.joinParts(parts);
    }
  }

  /** Frames with free parts that were hidden go behind those that came meanwhile. */
  private joinParts(parts: Int32Array): void {
    const { words, nextAt, prevAt } = this.node;
    for (const [size, hidden] of parts.entries()) {
      let tail = words[L.H_SLAB_PARTIAL + size];
      while (tail !== 0 && words[nextAt + tail] !== 0) tail = words[nextAt + tail];
      if (tail === 0) words[L.H_SLAB_PARTIAL + size] = hidden;
      else words[nextAt + tail] = hidden;
      if (hidden !== 0) words[prevAt + hidden] = tail;
    }
  }

  /** All that an allocation may change, but for counters and frame caches. */
  trace(): unknown {
    const { words } = this.node;
    const threads = this.views.map((view) =>
      Array.from(words.subarray(view.threadAt + L.T_CLUSTER, view.threadAt + L.T_CLUSTER + CLUSTER_ORDERS)),
    );
    const clusters = Array.from(this.clusters(), (cluster) => {
      const descriptor = descriptorAt(this.node, cluster);
      const table = words[descriptor + D_TABLE];
      return [
        cluster,
        words.subarray(descriptor, descriptor + L.CLUSTER_DESCRIPTOR_WORDS).join(),
        table === 0 ? 0 : digest(words, table, L.CLUSTER_SLOTS),
      ];
    });
    const lists = digest(words, L.CLUSTER_LISTS_AT, (L.GROUPS_MAX + 2) * L.CLUSTER_LIST_WORDS);
    const sums = [L.H_SLOTS_USED, L.H_SLOTS_BAD, L.H_SLOT_TABLES, L.H_CLUSTERS_USED, L.H_TABLE_FRAMES, L.H_FREE_FRAMES];
    return [threads, clusters, lists, words[L.H_CLUSTER_FULL], sums.map((at) => words[at]), this.groupPages()];
  }

  private groupPages(): number[] {
    return Array.from({ length: 4 }, (_, group) => this.node.home[groupAt(group) + L.G_SWAP_PAGES]);
  }

  save(): Saved {
    const { words, firstFree } = this.node;
    const tables: [number, Int32Array][] = [];
    for (let pfn = firstFree; pfn < this.node.frames; pfn++) {
      if (kindOf(this.node, pfn as Pfn) !== KIND_TABLE) continue;
      tables.push([pfn, words.slice(pfn * PAGE_WORDS, (pfn + 1) * PAGE_WORDS)]);
    }
    const ranges = this.ranges.map(([from, to]) => words.slice(from, to));
    return { ranges, tables, held: this.held.slice(), owners: this.owners.slice(), bad: [...this.bad] };
  }

  restore(saved: Saved): void {
    for (const [i, [from]] of this.ranges.entries()) this.node.words.set(saved.ranges[i], from);
    for (const [pfn, words] of saved.tables) this.node.words.set(words, pfn * PAGE_WORDS);
    this.held = saved.held.slice();
    this.owners.set(saved.owners);
    this.bad.clear();
    for (const slot of saved.bad) this.bad.add(slot);
  }

  /** What allocating and freeing slots writes to, but for tables: header and threads, groups to cluster lists, frame table. */
  private get ranges(): [from: number, to: number][] {
    return [
      [0, L.REGIONS_AT],
      [L.GROUPS_AT, L.ZS_HEADS_AT],
      [L.STATIC_WORDS, this.node.firstFree * PAGE_WORDS],
    ];
  }

  /** Every slot comes back; with no bad one among them, every table too. */
  finish(): void {
    for (const slot of this.held.slice()) this.free(0, slot);
    this.check();
    if (this.bad.size === 0) this.instance.finish();
    else for (const slot of this.bad) assert.equal(peekSlot(this.node, slot), SLOT_BAD);
  }
}

/** Neighbours of one cluster together. */
function rowsOf(slots: readonly SlotIndex[]): Int32Array[] {
  const rows: SlotIndex[][] = [];
  for (const slot of slots) {
    const last = rows.at(-1);
    if (last !== undefined && last[0] >>> 9 === slot >>> 9) last.push(slot);
    else rows.push([slot]);
  }
  return rows.map((row) => Int32Array.from(row));
}

/** FNV-1a over words. */
function digest(words: Int32Array, at: number, length: number): number {
  let hash = 0x811c9dc5;
  for (let i = at; i < at + length; i++) hash = Math.imul(hash ^ words[i], 0x01000193) ^ (hash >>> 15);
  return hash;
}
