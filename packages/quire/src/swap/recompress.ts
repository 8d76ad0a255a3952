/**
 * Objects on their way to the file, compressed again with zstd: what is demoted has been idle, so it is worth more time
 * and will be read seldom (zram's recompression of idle pages, Documentation/admin-guide/blockdev/zram.rst). An object is
 * replaced only if it takes fewer granules than before, since only those make the file smaller; raw pages are tried as
 * well, because zstd codes bytes by their frequency and LZ4 does not.
 *
 *   staging   | header payload … | header payload … |        each at its granule; smaller ones move up
 *
 * In the thread's own buffers, without the lock, between the demoter's collecting and its reserving of room.
 */
import { AREA_STAGING_BYTES, H_FILE_ZSTD } from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { decodeBlock, zstdBlock } from './block-codec.ts';
import { granulesFor, LZ4_OBJECT, ZSTD_OBJECT } from './file-object.ts';
import { FILE_GRANULE_BYTES, FILE_HEADER_BYTES } from './file-segments.ts';

/** An object takes a granule at least. */
const STAGED_MAX = AREA_STAGING_BYTES / FILE_GRANULE_BYTES;

export function wantsRecompression(node: Node): boolean {
  return node.words[H_FILE_ZSTD] !== 0;
}

/**
 * Goes through the batch in the staging buffer: `count` objects of `lengths[i]` bytes and form `forms[i]`, each at granule
 * `granules[i]`, in any order. Returns the granules they take now.
 */
export function recompressBatch(
  node: Node,
  count: number,
  lengths: Int32Array,
  granules: Int32Array,
  forms: Int32Array,
): number {
  let used = 0;
  sortByPlace(count, granules);
  for (let turn = 0; turn < count; turn++) {
    const i = order[turn];
    const from = payloadAt(node, granules[i]);
    const to = payloadAt(node, used);
    assert(granules[i] >= used, 'objects move up only', granules[i], used);
    const smaller = recompress(node, from, lengths[i], forms[i]);
    if (smaller > 0) {
      node.kernel.copy(to, smallerAt(node), smaller);
      lengths[i] = smaller;
      forms[i] = ZSTD_OBJECT;
      node.counters[C.file_recompressed]++;
    } else if (to !== from) {
      node.kernel.copy(to, from, lengths[i]);
    }
    granules[i] = used;
    used += granulesFor(lengths[i]);
  }
  return used;
}

/** Entries of the batch, first in the buffer first. Of this thread: reused by each batch. */
const order = new Int32Array(STAGED_MAX);

/** Two runs at most, each in order: objects as they lay in the pool, and behind them pages of units. */
function sortByPlace(count: number, granules: Int32Array): void {
  assert(count <= STAGED_MAX, 'objects in the staging buffer', count);
  for (let i = 0; i < count; i++) {
    let at = i;
    for (; at > 0 && granules[order[at - 1]] > granules[i]; at--) order[at] = order[at - 1];
    order[at] = i;
  }
}

/** Leaves the object in the gather buffer, compressed by zstd. Returns its length, 0 when that saves no granule. */
function recompress(node: Node, payload: number, length: number, form: number): number {
  const level = node.words[H_FILE_ZSTD];
  const capacity = (granulesFor(length) - 1) * FILE_GRANULE_BYTES - FILE_HEADER_BYTES;
  if (level === 0 || form === ZSTD_OBJECT || capacity <= 0) return 0;
  let page = payload;
  if (form === LZ4_OBJECT) {
    page = node.gatherByte | 0;
    const got = decodeBlock(node, payload, length, false, page, PAGE_BYTES, PAGE_BYTES);
    assert(got === PAGE_BYTES, 'object to be compressed again decodes', got, length);
  }
  return zstdBlock(node, page, PAGE_BYTES, smallerAt(node), capacity, level);
}

function payloadAt(node: Node, granule: number): number {
  return (node.stagingByte + granule * FILE_GRANULE_BYTES + FILE_HEADER_BYTES) | 0;
}

/** The second page of the gather buffer. */
function smallerAt(node: Node): number {
  return (node.gatherByte + PAGE_BYTES) | 0;
}
