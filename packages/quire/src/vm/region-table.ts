/**
 * The region table, in node 0: which regions exist, how large, under what name. 512 slots of 256 bytes; the
 * page-table roots of the same slot number are in every node. A region lives while any thread has it open (R_REFS)
 * and goes, pages and tables, with the last.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { allocTableFrameLocked, freeTableFrameLocked } from '../page-alloc/table-slab.ts';
import { regionAt } from '../page-table/page-table.ts';
import { groupOfRegion } from '../reclaim/group.ts';
import {
  DEFAULT_GROUP_NAME,
  enterGroupLocked,
  groupName,
  leaveGroupLocked,
  NO_GROUP_SLOT,
} from '../reclaim/group-table.ts';
import { resetAccess } from './access.ts';
import { needMemory } from './fault.ts';
import { tooManyGroups } from './group-limit.ts';
import type { Memory } from './memory.ts';
import { destroyRegion } from './unmap.ts';

/** Others may take what was reclaimed for us; this often in a row is not bad luck. */
const CONTROL_TRIES = 64;

const STATE_FREE = 0;
const STATE_USED = 1;
const STATE_CLOSING = 2;

export const REGION_BYTES_MAX = 2 ** 45;

export interface RegionInfo {
  readonly region: number;
  readonly chunks: number;
  readonly created: boolean;
}

/**
 * Opens the region `name`, or makes it when there is none; '' always makes a new one. `chunks` is its size in 2 MiB
 * chunks; an existing region keeps its own, and its group. Throws ERR_QUIRE_OUT_OF_MEMORY when a table is full. The use is
 * the thread's, and ends with it (`returnUses`), unless it is made as a part of another region (`setParts`).
 */
export function openRegion(
  memory: Memory,
  name: string,
  chunks: number,
  group = DEFAULT_GROUP_NAME,
  kind: number = L.REGION_MEMORY,
  isPart = false,
): RegionInfo {
  const node = memory.nodes[0];
  const encoded = new TextEncoder().encode(name);
  assert(encoded.length <= L.R_NAME_BYTES_MAX, 'region name checked by the caller', encoded.length);
  node.lock();
  const found = name === '' ? -1 : findLocked(node, encoded);
  const region = found >= 0 ? found : findFreeLocked(node);
  const groupId = found < 0 && region >= 0 ? enterGroupLocked(node, group) : NO_GROUP_SLOT;
  const isOpen = found >= 0 || groupId !== NO_GROUP_SLOT;
  if (isOpen) {
    const at = regionAt(region);
    if (found < 0) {
      // In every node: each looks at its own slot when it makes or frees a leaf. Nobody knows the region yet.
      for (const each of memory.nodes) Atomics.store(each.words, at + L.R_KIND, kind);
      formatLocked(node, region, encoded, chunks, groupId);
    }
    node.words[at + L.R_REFS]++;
    if (!isPart) noteUseLocked(node, region, 1);
  }
  node.unlock();
  if (region < 0)
    throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', `at most ${L.REGIONS_MAX} files and regions can be open`);
  if (!isOpen) {
    // Groups that nobody uses any more keep their slots until their last page is freed.
    if (memory.freeDetached()) return openRegion(memory, name, chunks, group, kind, isPart);
    throw tooManyGroups();
  }
  return { region, chunks: node.words[regionAt(region) + L.R_CHUNKS_LOW], created: found < 0 };
}

/** Gives a region without a name one. False when an open region has it. */
export function nameRegion(memory: Memory, region: number, name: string): boolean {
  const node = memory.nodes[0];
  const encoded = new TextEncoder().encode(name);
  assert(encoded.length > 0 && encoded.length <= L.R_NAME_BYTES_MAX, 'region name checked by the caller', region);
  node.lock();
  const isFree = findLocked(node, encoded) < 0;
  if (isFree) writeName(node, region, encoded);
  node.unlock();
  return isFree;
}

function findLocked(node: Node, name: Uint8Array): number {
  for (let region = 0; region < L.REGIONS_MAX; region++) {
    const at = regionAt(region);
    if (node.words[at + L.R_STATE] !== STATE_USED) continue;
    const start = (at + L.R_NAME) * 4;
    if (node.bytes[start] !== name.length) continue;
    if (name.every((byte, i) => node.bytes[start + 1 + i] === byte)) return region;
  }
  return -1;
}

function findFreeLocked(node: Node): number {
  for (let region = 0; region < L.REGIONS_MAX; region++) {
    if (node.words[regionAt(region) + L.R_STATE] === STATE_FREE) return region;
  }
  return -1;
}

function formatLocked(node: Node, region: number, name: Uint8Array, chunks: number, group: number): void {
  const at = regionAt(region);
  node.words[at + L.R_CHUNKS_LOW] = chunks;
  node.words[at + L.R_REFS] = 0;
  node.words[at + L.R_CONTROL] = 0;
  node.words.fill(0, at + L.R_PARTS, at + L.R_PARTS + 2);
  resetAccess(node, region);
  writeName(node, region, name);
  node.words[at + L.R_GROUP] = group;
  Atomics.store(node.words, at + L.R_STATE, STATE_USED);
}

function writeName(node: Node, region: number, name: Uint8Array): void {
  const at = (regionAt(region) + L.R_NAME) * 4;
  node.bytes[at] = name.length;
  node.bytes.set(name, at + 1);
}

/** Gives up one use; the last one frees everything the region holds. Returns true when it did. */
export function closeRegion(memory: Memory, region: number): boolean {
  if (!leaveRegion(memory, region)) return false;
  removeRegion(memory, region);
  return true;
}

/** Gives up one use. True when it was the last: nobody finds the region any more, and the caller removes it. */
export function leaveRegion(memory: Memory, region: number): boolean {
  const node = memory.nodes[0];
  node.lock();
  const isLast = dropUseLocked(node, region) === 0;
  if (isLast) node.words[regionAt(region) + L.R_STATE] = STATE_CLOSING;
  node.unlock();
  return isLast;
}

/** Gives up a use of a region that has a name and stays, without users if need be. */
export function leaveNamed(memory: Memory, region: number): void {
  const node = memory.nodes[0];
  node.lock();
  dropUseLocked(node, region);
  node.unlock();
}

/** This thread uses the region once less. Returns how many uses are left. */
function dropUseLocked(node: Node, region: number): number {
  const refs = --node.words[regionAt(region) + L.R_REFS];
  assert(refs >= 0, 'region closed once a use', region, refs);
  noteUseLocked(node, region, -1);
  return refs;
}

/** Frees everything a region holds that its last user left. */
export function removeRegion(memory: Memory, region: number): void {
  const node = memory.nodes[0];
  const at = regionAt(region);
  Atomics.add(node.words, at + L.R_GENERATION, 1);
  // What could not go keeps its slot, closing, until the instance closes (clearPins).
  if (!destroyRegion(memory, region, node.words[at + L.R_CHUNKS_LOW])) return;
  node.lock();
  const control = node.words[at + L.R_CONTROL] as Pfn;
  if (control !== NO_PFN) freeTableFrameLocked(node, control);
  node.words[at + L.R_CONTROL] = 0;
  leaveGroupLocked(node, node.words[at + L.R_GROUP]);
  Atomics.store(node.words, at + L.R_STATE, STATE_FREE);
  node.unlock();
}

/** In the thread's area: which regions it has open, and how often. What is counted up to USES_MANY is not known any more. */
function noteUseLocked(node: Node, region: number, by: number): void {
  const at = node.areaByte + L.AREA_USES + region;
  const uses = node.bytes[at];
  if (uses !== L.USES_MANY && uses + by >= 0) node.bytes[at] = uses + by;
}

/** The regions that go with this one: made with `isPart`, and closed by the last user of this one. */
export function setParts(memory: Memory, region: number, parts: readonly [number, number]): void {
  const { words } = memory.nodes[0];
  const at = regionAt(region) + L.R_PARTS;
  for (const [i, part] of parts.entries()) Atomics.store(words, at + i, part + 1);
}

/**
 * The uses that a dead thread had of regions, maps and files end. What has a name stays, without users if there is no
 * other: the next one that opens it finds it, and closes it. What has none, and so no other user, goes. Returns how many
 * uses.
 */
export function returnUses(memory: Memory, index: number): number {
  const node = memory.nodes[0];
  const area = node.words[L.THREADS_AT + index * L.THREAD_WORDS + L.T_AREA] as Pfn;
  let returned = 0;
  for (let region = 0; area !== NO_PFN && region < L.REGIONS_MAX; region++) {
    const at = area * PAGE_BYTES + L.AREA_USES + region;
    const uses = node.bytes[at];
    if (uses === 0) continue;
    node.bytes[at] = 0;
    if (uses === L.USES_MANY) continue;
    returned += uses;
    if (!returnUsesOf(node, region, uses)) continue;
    const parts = [0, 1].map((i) => node.words[regionAt(region) + L.R_PARTS + i] - 1);
    removeRegion(memory, region);
    for (const part of parts) if (part >= 0) closeRegion(memory, part);
  }
  return returned;
}

/** True when the region is without users and name: closing, for the caller to remove. */
function returnUsesOf(node: Node, region: number, uses: number): boolean {
  const at = regionAt(region);
  node.lock();
  const left = node.words[at + L.R_REFS] - uses;
  assert(left >= 0, 'uses of a region', region, left);
  node.words[at + L.R_REFS] = left;
  const isOver = left === 0 && node.bytes[(at + L.R_NAME) * 4] === 0;
  if (isOver) node.words[at + L.R_STATE] = STATE_CLOSING;
  node.unlock();
  return isOver;
}

/** Is the region open as a file? For those who found it in the table and hold no use of it; node 0 locked. */
export function isOpenFileLocked(node: Node, region: number): boolean {
  const at = regionAt(region);
  return node.words[at + L.R_STATE] === STATE_USED && node.words[at + L.R_KIND] === L.REGION_FILE;
}

/**
 * 1,024 zeroed words that stay resident, for a structure that lives in the region; they go with it. Made at the first
 * call. Throws ERR_QUIRE_SWAP_FULL or ERR_QUIRE_OUT_OF_MEMORY when there is no frame.
 */
export function controlWords(memory: Memory, region: number): Int32Array {
  const node = memory.nodes[0];
  const at = regionAt(region) + L.R_CONTROL;
  for (let attempt = 0; attempt < CONTROL_TRIES; attempt++) {
    node.lock();
    if (node.words[at] === NO_PFN) node.words[at] = allocTableFrameLocked(node, GFP_USER);
    const pfn = node.words[at];
    node.unlock();
    if (pfn !== NO_PFN) return new Int32Array(node.memory.buffer, pfn * 4096, 1024);
    needMemory(memory, 0, 1);
  }
  throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'no memory for the control block of a region');
}

/** Regions in use, for `close` and `stats`. */
export function regionsInUse(node: Node): number[] {
  const used: number[] = [];
  for (let region = 0; region < L.REGIONS_MAX; region++) {
    if (node.words[regionAt(region) + L.R_STATE] !== STATE_FREE) used.push(region);
  }
  return used;
}

/** Pages of open files and regions under each group name, in whatever tier. */
export function pagesByGroup(nodes: readonly Node[]): Record<string, number> {
  const groups: Record<string, number> = {};
  for (const region of regionsInUse(nodes[0])) {
    const name = groupName(nodes[0], groupOfRegion(nodes[0], region));
    const pages = nodes.reduce((sum, node) => sum + node.words[regionAt(region) + L.R_PAGES], 0);
    groups[name] = (groups[name] ?? 0) + pages;
  }
  return groups;
}

/** Frees a region whatever its uses: the instance is closing. */
export function forceCloseRegion(memory: Memory, region: number): void {
  memory.nodes[0].words[regionAt(region) + L.R_REFS] = 1;
  closeRegion(memory, region);
}

export function chunksFor(bytes: number): number {
  return Math.ceil(bytes / CHUNK_BYTES);
}
