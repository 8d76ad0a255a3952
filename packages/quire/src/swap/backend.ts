/**
 * What is behind a slot, asked through the virtual layer: one load of the slot's word; for a file also one of a table of
 * 256 words, which says the device. Answers are as old as that load: good for deciding what to read ahead, not for reading.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { deviceOf } from './file-devices.ts';
import { payloadOf, SLOT_FILE, SLOT_FREE, tagOf } from './slot-word.ts';
import { peekSlot, slotAt } from './swap-table.ts';

const DEVICE_SHIFT = 3;

/** The tag of the slot's word, and for SLOT_FILE the device << 3. Equal numbers are equal backends. */
export function backendOf(node: Node, slot: number): number {
  return backendOfWord(node, peekSlot(node, slot));
}

export function backendOfWord(node: Node, word: number): number {
  const tag = tagOf(word);
  // A device that is gone since: as if it had no backend.
  return tag === SLOT_FILE ? tag | ((deviceOf(node, payloadOf(word)) & 0xf) << DEVICE_SHIFT) : tag;
}

export function isFileBackend(backend: number): boolean {
  return (backend & ((1 << DEVICE_SHIFT) - 1)) === SLOT_FILE;
}

export function backendDevice(backend: number): number {
  assert(isFileBackend(backend), 'backend is a file', backend);
  return backend >> DEVICE_SHIFT;
}

/**
 * How many slots from `slot` on, at most `count`, have the backend of the first; 0 when nobody owns it. The tables are
 * looked up once a cluster.
 */
export function sameBackendRun(node: Node, slot: number, count: number): number {
  const backend = backendOf(node, slot);
  if (backend === SLOT_FREE) return 0;
  let run = 1;
  while (run < count) {
    const at = slotAt(node, slot + run);
    const end = Math.min(count, run + L.CLUSTER_SLOTS - ((slot + run) % L.CLUSTER_SLOTS));
    if (at <= 0 || at + end - run > node.words.length) return run;
    for (let i = at; run < end; i++, run++) {
      if (backendOfWord(node, Atomics.load(node.words, i)) !== backend) return run;
    }
  }
  return run;
}
