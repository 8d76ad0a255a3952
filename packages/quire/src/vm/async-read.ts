/**
 * The async twins: pages of the file tier are read with the device's non-blocking read into a buffer of the JS heap
 * (one object, 4 KiB), checked and decoded in one synchronous step, and validated by the slot's sequence, as in
 * vm/swap-in.ts. Pages of memory tiers take the synchronous way.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { isSwapped } from '../arena/pte.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import { slotOfEntry } from '../swap/direct-entry.ts';
import { FILE_OBJECT_BYTES_MAX } from '../swap/file-object.ts';
import { fileOffset } from '../swap/file-segments.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot, sequenceAt } from '../swap/swap-table.ts';
import { faultFromFile } from './fault.ts';
import { decodeFileObject } from './file-read.ts';
import type { Memory } from './memory.ts';
import { lastIo, READ_IO, READ_OK, readError } from './read-outcome.ts';
import type { RegionSpace } from './region-space.ts';

const RETRIES_MAX = 1000;

/** Fills `target`. `stillOpen` throws when the region was closed while a read was under way. */
export async function readAsync(
  memory: Memory,
  space: RegionSpace,
  offset: number,
  target: Uint8Array,
  stillOpen: () => void,
): Promise<void> {
  let at = 0;
  while (at < target.length) {
    const inPage = (offset + at) % PAGE_BYTES;
    const step = Math.min(PAGE_BYTES - inPage, target.length - at);
    await readPage(memory, space, offset + at, target, at, step, stillOpen);
    at += step;
  }
}

async function readPage(
  memory: Memory,
  space: RegionSpace,
  offset: number,
  target: Uint8Array,
  to: number,
  length: number,
  stillOpen: () => void,
): Promise<void> {
  const inPage = offset % PAGE_BYTES;
  for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
    const found = findOnFile(memory, space, offset);
    if (found === undefined) {
      space.read(offset, target, to, length);
      return;
    }
    const object = await fetchObject(memory, found, stillOpen);
    if (Atomics.load(found.node.words, sequenceAt(found.slot)) !== found.sequence) continue;
    const scratch = found.node.nextScratch();
    const outcome = decodeFetched(found.node, found.slot, object, scratch, inPage + length);
    if (outcome !== READ_OK) throw readError(found.node, outcome);
    target.set(found.node.bytes.subarray(scratch + inPage, scratch + inPage + length), to);
    return;
  }
  throw new QuireError('ERR_QUIRE_FAILED', 'an async read made no progress');
}

/**
 * Brings the pages of a range that are on file into memory. Best effort: without memory to spare they stay where they
 * are.
 */
export async function prefetchAsync(
  memory: Memory,
  space: RegionSpace,
  offset: number,
  length: number,
  stillOpen: () => void,
): Promise<void> {
  const last = offset + length;
  for (let at = offset - (offset % PAGE_BYTES); at < last; at += PAGE_BYTES) {
    const found = findOnFile(memory, space, at);
    if (found === undefined) continue;
    const object = await fetchObject(memory, found, stillOpen);
    const { n, chunk, page } = space.placeOf(at);
    faultFromFile(memory, n, space.region, chunk, page, found.slot, found.sequence, (target) =>
      decodeFetched(found.node, found.slot, object, target, PAGE_BYTES),
    );
  }
}

interface OnFile {
  readonly node: Node;
  readonly slot: number;
  readonly sequence: number;
  readonly granule: number;
}

/** The page's place on file, undefined when it is not there. The order of the loads is that of vm/swap-in.ts. */
function findOnFile(memory: Memory, space: RegionSpace, offset: number): OnFile | undefined {
  const { n, chunk, page } = space.placeOf(offset);
  const node = memory.nodes[n];
  const generationAt = regionAt(space.region) + L.R_GENERATION;
  const generation = Atomics.load(memory.nodes[0].words, generationAt);
  const leaf = findLeaf(node, space.region, chunk);
  const pte = leaf === 0 ? 0 : Atomics.load(node.words, leaf + page);
  if (!isSwapped(pte)) return undefined;
  const slot = slotOfEntry(node, leaf + page, pte);
  const sequence = Atomics.load(node.words, sequenceAt(slot));
  if (Atomics.load(node.words, leaf + page) !== pte) return undefined;
  if (Atomics.load(memory.nodes[0].words, generationAt) !== generation) return undefined;
  const word = peekSlot(node, slot);
  if (W.tagOf(word) !== W.SLOT_FILE) return undefined;
  return { node, slot, sequence, granule: W.payloadOf(word) };
}

/** The object's bytes; empty when the device failed (`lastIo` has the cause). */
async function fetchObject(memory: Memory, found: OnFile, stillOpen: () => void): Promise<Uint8Array> {
  const buffer = new Uint8Array(FILE_OBJECT_BYTES_MAX);
  let got = 0;
  let failed = memory.device === undefined;
  try {
    got = (await memory.device?.readAsync(fileOffset(found.node, found.granule), buffer, 0, buffer.length)) ?? 0;
  } catch (error) {
    failed = true;
    lastIo.cause = error;
    found.node.counters[C.file_read_errors]++;
  }
  stillOpen();
  return failed ? NOTHING : buffer.subarray(0, got);
}

const NOTHING = new Uint8Array(0);

function decodeFetched(node: Node, slot: number, object: Uint8Array, target: number, wanted: number): number {
  if (object === NOTHING) return READ_IO;
  node.bytes.set(object, node.ioByte);
  return decodeFileObject(node, slot, object.length, target | 0, wanted);
}
