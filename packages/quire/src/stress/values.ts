/**
 * Self-checking values: every byte follows from what it belongs to (a cell of the region, a key of the map) and its
 * version. A 16-byte head names both, so a wrong page shows whose it is.
 */
import { WORDS } from '../simulator/content.ts';
import { Random } from '../simulator/random.ts';

export const HEAD_BYTES = 16;
export const VALUE_BYTES_MAX = 256 * 1024;
const POOL_BYTES = VALUE_BYTES_MAX * 2;

/** Every thread makes the same pools from the seed. */
export class Values {
  private readonly text: Uint8Array;
  private readonly noise: Uint8Array;
  private readonly seed: number;

  constructor(seed: number) {
    this.seed = seed;
    const random = new Random(seed);
    let text = '';
    while (text.length < POOL_BYTES) text += `${random.pick(WORDS)}${random.chance(0.3) ? random.below(1000) : ''} `;
    this.text = new TextEncoder().encode(text.slice(0, POOL_BYTES));
    this.noise = new Uint8Array(POOL_BYTES);
    for (let i = 0; i < POOL_BYTES; i++) this.noise[i] = random.below(256);
  }

  /** Mostly small, now and then up to 256 KiB. */
  lengthOf(id: number, version: number): number {
    const mixed = mix(id, version, this.seed);
    const share = mixed % 100;
    const rest = mixed >>> 8;
    if (share < 80) return HEAD_BYTES + (rest % 1200);
    if (share < 98) return HEAD_BYTES + (rest % 8192);
    return VALUE_BYTES_MAX - (rest % (VALUE_BYTES_MAX - HEAD_BYTES));
  }

  /** One version in eight is no value: deleted, or discarded. So is version 0. */
  isAbsent(id: number, version: number): boolean {
    return version === 0 || mix(version, id, this.seed) % 8 === 0;
  }

  make(id: number, version: number, length: number): Uint8Array {
    const mixed = mix(id, version, 77);
    const pool = mixed % 10 === 0 ? this.noise : this.text;
    const start = (mixed >>> 4) % (POOL_BYTES - length);
    const bytes = pool.slice(start, start + length);
    const head = new DataView(bytes.buffer);
    head.setUint32(0, id);
    head.setUint32(4, version);
    head.setUint32(8, length);
    head.setUint32(12, mixed);
    for (let at = 512; at + 4 <= length; at += 512) head.setUint32(at, (id ^ (version << 16)) + at);
    return bytes;
  }
}

export function versionOf(bytes: Uint8Array): number {
  return bytes.length < HEAD_BYTES ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
}

/** What a value says it is, for messages. */
export function describeValue(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return 'nothing';
  if (bytes.length < HEAD_BYTES) return `${bytes.length} bytes`;
  const head = new DataView(bytes.buffer, bytes.byteOffset);
  return `${bytes.length} bytes that say id ${head.getUint32(0)}, version ${head.getUint32(4)}, length ${head.getUint32(8)}`;
}

function mix(a: number, b: number, c: number): number {
  let hash =
    Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(b + 0x7f4a_7c15, 0xc2b2_ae35) ^ Math.imul(c, 0x27d4_eb2f);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
