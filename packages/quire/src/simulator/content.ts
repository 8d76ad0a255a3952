/**
 * Bytes to store: text that compresses, noise that does not, runs of one byte; each stamped, so that no two pages are
 * alike.
 */
import { PAGE_BYTES } from '../base/units.ts';
import type { Random } from './random.ts';

const TEMPLATES = 24;
const STAMP_EVERY = 512;
/** What text is made of, here and in the stress test. */
export const WORDS = [
  'page',
  'frame',
  'slot',
  'cluster',
  'watermark',
  'reclaim',
  'shadow',
  'order',
  'node',
  'fault',
  'the',
  'of',
  'is',
  'and',
];

export class Content {
  private readonly random: Random;
  private readonly text: Uint8Array[] = [];
  private readonly noise: Uint8Array[] = [];
  private readonly randomShare: number;
  private stamp = 0;

  constructor(random: Random, randomShare: number) {
    this.random = random;
    this.randomShare = randomShare;
    for (let i = 0; i < TEMPLATES; i++) {
      this.text.push(this.makeText());
      this.noise.push(this.makeNoise());
    }
  }

  /** `length` bytes, never the same twice. */
  make(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (this.random.chance(0.08)) return bytes.fill(this.random.below(256));
    const from = this.random.chance(this.randomShare) ? this.noise : this.text;
    for (let at = 0; at < length; at += PAGE_BYTES) {
      const template = this.random.pick(from);
      bytes.set(length - at < PAGE_BYTES ? template.subarray(0, length - at) : template, at);
    }
    const stamp = ++this.stamp;
    for (let at = this.random.below(8); at + 4 <= length; at += STAMP_EVERY) {
      bytes[at] = stamp;
      bytes[at + 1] = stamp >> 8;
      bytes[at + 2] = stamp >> 16;
      bytes[at + 3] = at >> 9;
    }
    return bytes;
  }

  private makeText(): Uint8Array {
    let text = '';
    while (text.length < PAGE_BYTES)
      text += `${this.random.pick(WORDS)}${this.random.chance(0.3) ? this.random.below(1000) : ''} `;
    return new TextEncoder().encode(text.slice(0, PAGE_BYTES));
  }

  private makeNoise(): Uint8Array {
    const bytes = new Uint8Array(PAGE_BYTES);
    for (let i = 0; i < PAGE_BYTES; i++) bytes[i] = this.random.below(256);
    return bytes;
  }
}
