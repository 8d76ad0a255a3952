/** Pages on a file tier whose device is in memory, for tests that damage or stop it. */
import assert from 'node:assert/strict';
import * as L from '../arena/layout.ts';
import { isSwapped, slotFromPte } from '../arena/pte.ts';
import { C, type CounterName } from '../base/counters.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { DEMOTED_FILE_FULL, DEMOTED_IO_ERROR, DEMOTED_SOME, Demoter } from '../swap/demoter.ts';
import { fileOffset } from '../swap/file-segments.ts';
import { Reclaimer } from '../swap/reclaimer.ts';
import { payloadOf, SLOT_FILE, tagOf } from '../swap/slot-word.ts';
import { peekSlot } from '../swap/swap-table.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { sumCounter } from '../vm/thread-slot.ts';
import { MemoryDevice } from './memory-device.ts';
import { makePage } from './page-data.ts';
import { createTestInstance, type TestInstance } from './test-instance.ts';

export const PAGES = 600;

export interface Loaded {
  readonly instance: TestInstance;
  readonly space: RegionSpace;
  readonly demoter: Demoter;
}

/** `pages` pages of text, all compressed; nothing on file yet. */
export function load(fileBytes = 16 * MIB, pages = PAGES, device = new MemoryDevice()): Loaded {
  const instance = createTestInstance({ bytes: 8 * MIB, fileBytes, device });
  const space = instance.space(64 * MIB);
  for (let page = 0; page < pages; page++) space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
  evict(instance);
  return { instance, space, demoter: new Demoter(instance.node, instance.device) };
}

export function pageOf(page: number): Uint8Array {
  return makePage(page, page % 7 === 0 ? 'noise' : 'text');
}

/** Compresses everything that is resident. */
export function evict(instance: TestInstance): void {
  const reclaimer = new Reclaimer(instance.node, undefined); // one that knows no file
  for (let round = 0; instance.node.words[L.H_REGION_PAGES] > 0 && round < 5000; round++) {
    reclaimer.round(false, true);
  }
  assert.equal(instance.node.words[L.H_REGION_PAGES], 0);
}

/** Demotes until nothing is left in memory, or the file is full. */
export function demoteAll({ demoter, instance }: Loaded): number {
  let outcome = DEMOTED_SOME;
  for (
    let turn = 0;
    turn < 500 && instance.node.words[L.H_ZS_FRAMES] + instance.node.words[L.H_RAW_FRAMES] > 0;
    turn++
  ) {
    outcome = demoter.demote();
    if (outcome === DEMOTED_FILE_FULL || outcome === DEMOTED_IO_ERROR) break;
  }
  return outcome;
}

/** Byte offset in the file of a page's object. */
export function placeOf({ instance, space }: Loaded, page: number): number {
  const { node } = instance;
  const pte = node.words[findLeaf(node, space.region, Math.floor(page / 512)) + (page % 512)];
  assert.ok(isSwapped(pte));
  const word = peekSlot(node, slotFromPte(pte));
  assert.equal(tagOf(word), SLOT_FILE, `page ${page} is on file`);
  return fileOffset(node, payloadOf(word));
}

export function counted(instance: TestInstance, name: CounterName): number {
  return sumCounter(instance.node, C[name]);
}

export function readPage(space: RegionSpace, page: number): Uint8Array {
  const got = new Uint8Array(PAGE_BYTES);
  space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
  return got;
}

export function assertPages(space: RegionSpace, except: readonly number[] = [], pages = PAGES): void {
  for (let page = 0; page < pages; page++) {
    if (!except.includes(page)) assert.deepEqual(readPage(space, page), pageOf(page), `page ${page}`);
  }
}

export const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
