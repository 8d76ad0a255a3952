/**
 * Reading cached pages, optimistically (vm/region-space.ts has the region's twin):
 *
 *   open     size · generation, leaf · entry E · version of the head · E again, generation again · uptodate bits
 *   close    version of the head unchanged                            what was copied was this file's
 *
 * The bits are loaded after the version: if the folio left the tree in between, the version has moved. One step covers as
 * much of a folio as is wanted and uptodate. Nothing is stored but a touch mark.
 */
import { closingLoad, LOADS_STAY_IN_ORDER } from '../arena/fence.ts';
import { headOf } from '../arena/frame.ts';
import type { Node } from '../arena/node.ts';
import { frameFromFolioPte, isPresent, orderFromPte } from '../arena/pte.ts';
import { C } from '../base/counters.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { firstStale, uptodateBit } from './block-state.ts';
import type { ByteVector } from './byte-vector.ts';
import type { FileMap } from './file-map.ts';

/** The page is not cached, or its bytes are not there yet. */
export const MISSING = 0;
/** Eviction, migration or truncate came in between: look again. */
export const OVERTAKEN = -1;

/** Copies from one folio, up to `length` bytes, to the target or the vector; returns how many, MISSING or OVERTAKEN. */
export function readFolio(
  map: FileMap,
  position: number,
  length: number,
  target: Uint8Array,
  targetOffset: number,
  vector?: ByteVector,
): number {
  map.seek(position);
  const { node, leaf, page, inChunk } = map;
  const { words } = node;
  if (leaf === 0) return map.isCurrent() ? MISSING : OVERTAKEN;
  const pte = words[leaf + page]; // looked at again below
  if (!isPresent(pte)) return map.isCurrent() ? MISSING : OVERTAKEN;
  const pfn = frameFromFolioPte(pte);
  const order = orderFromPte(pte);
  const head = headOf(pfn, order);
  // An entry of a leaf that is gone may be anything.
  if (head >= node.frames) return overtaken(node);
  const version = Atomics.load(words, node.versionAt + head);
  // Right after an atomic load: no load passes it where loads stay in order, nor does V8 move one.
  const again = LOADS_STAY_IN_ORDER ? words[leaf + page] : Atomics.load(words, leaf + page);
  if (again !== pte || !map.isStillCurrent()) return overtaken(node);
  const folioEnd = ((page >>> order) + 1) << (order + 12);
  const end = length < folioEnd - inChunk ? inChunk + length : folioEnd;
  const lastPage = (end - 1) >>> 12;
  const stale = lastPage === page ? page + uptodateBit(node, leaf, page) : firstStale(node, leaf, page, lastPage + 1);
  if (stale === page) return closingLoad(words, node.versionAt + head) === version ? MISSING : overtaken(node);
  const step = (stale <= lastPage ? stale * PAGE_BYTES : end) - inChunk;
  if (words[node.touchAt + head] === 0) words[node.touchAt + head] = 1;
  const start = pfn * PAGE_BYTES + (inChunk & (PAGE_BYTES - 1));
  if (vector === undefined) map.copyOut(node, start, target, targetOffset, step);
  else vector.copyOut(map, node, start, step);
  return closingLoad(words, node.versionAt + head) === version ? step : overtaken(node);
}

function overtaken(node: Node): number {
  node.counters[C.optimistic_retries]++;
  return OVERTAKEN;
}
