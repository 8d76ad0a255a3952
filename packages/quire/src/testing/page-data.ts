/** Page contents of the kinds that reclaim treats differently, made from a seed. */
import { PAGE_BYTES } from '../base/units.ts';
import { makeRandom } from '../codec/testing/random.ts';

export type PageKind = 'text' | 'zero' | 'same' | 'noise' | 'sparse';

/** Weighted: half of it text, as real data is. */
const KINDS: readonly PageKind[] = ['text', 'text', 'text', 'text', 'zero', 'same', 'noise', 'sparse'];

const WORDS =
  'folio frame order zone watermark cluster slot shadow refault writeback the of and to in is that it'.split(' ');

/** Words of a fixed text, cut at a place that depends on the seed, so that making a page costs one copy. */
const TEXT = makeText(64 * 1024);

function makeText(bytes: number): Uint8Array {
  const random = makeRandom(7);
  let text = '';
  while (text.length < bytes)
    text += `${WORDS[random.below(WORDS.length)]}${random.below(8) === 0 ? random.below(1e6) : ''} `;
  return new TextEncoder().encode(text).subarray(0, bytes);
}

const NOISE = makeNoise(64 * 1024);

function makeNoise(bytes: number): Uint8Array {
  const random = makeRandom(11);
  return Uint8Array.from({ length: bytes }, () => random.below(256));
}

export function kindFor(seed: number): PageKind {
  return KINDS[seed % KINDS.length];
}

/** A page that says its seed in its first bytes, unless it is a same-filled one. */
export function makePage(seed: number, kind: PageKind = kindFor(seed)): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const start = (Math.imul(seed, 0x9e37_79b1) >>> 0) % (TEXT.length - PAGE_BYTES);
  if (kind === 'text') page.set(TEXT.subarray(start, start + PAGE_BYTES));
  else if (kind === 'noise') page.set(NOISE.subarray(start, start + PAGE_BYTES));
  else if (kind === 'same') return page.fill(1 + (seed % 255));
  else if (kind === 'zero') return page;
  new DataView(page.buffer).setUint32(0, seed >>> 0);
  return page;
}

/** `count` pages in a row, each of its own kind. */
export function makePages(seed: number, count: number, kind?: PageKind): Uint8Array {
  const bytes = new Uint8Array(count * PAGE_BYTES);
  for (let i = 0; i < count; i++) bytes.set(makePage((seed + i * 7919) >>> 0, kind), i * PAGE_BYTES);
  return bytes;
}
