/**
 * Page-like data of every kind a codec meets: noise, words, runs, short and long periods, records with counters, and
 * mixtures whose parts end at odd places.
 */
import type { Random } from './random.ts';

type Sampler = (random: Random, bytes: Uint8Array) => void;

const WORDS = 'the page of a folio is shared; const return function (value) => { } import from export 0 1 number'.split(
  ' ',
);

function noise(random: Random, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
}

function words(random: Random, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; ) {
    for (const character of `${WORDS[random.below(WORDS.length)]} `) {
      if (i < bytes.length) bytes[i++] = character.charCodeAt(0);
    }
  }
}

function fewSymbols(random: Random, bytes: Uint8Array): void {
  const symbols = 2 + random.below(4);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(symbols);
}

function period(random: Random, bytes: Uint8Array): void {
  const distance = 1 + random.below(random.below(2) === 0 ? 20 : 5000);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i < distance ? random.below(256) : bytes[i - distance];
}

function records(random: Random, bytes: Uint8Array): void {
  const size = 8 + random.below(56);
  for (let i = 0; i < bytes.length; i++) {
    const field = i % size;
    bytes[i] = field < 4 ? (Math.floor(i / size) >> (8 * field)) & 255 : field < 8 ? random.below(256) : field;
  }
}

function mixture(random: Random, bytes: Uint8Array): void {
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + 1 + random.below(700));
    SIMPLE[random.below(SIMPLE.length)](random, bytes.subarray(start, end));
    start = end;
  }
}

const SIMPLE: readonly Sampler[] = [noise, words, fewSymbols, period, records];
const ALL: readonly Sampler[] = [...SIMPLE, mixture, mixture, mixture];

/** `length` bytes of a kind drawn at random. */
export function sample(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  ALL[random.below(ALL.length)](random, bytes);
  return bytes;
}

/** A length that is often near the limits of the format and of the kernels. */
export function sampleLength(random: Random, max: number): number {
  const corners = [
    0, 1, 4, 5, 11, 12, 13, 15, 16, 17, 18, 31, 32, 33, 64, 255, 270, 271, 4095, 4096, 4097, 65535, 65536,
  ];
  const corner = corners[random.below(corners.length)];
  return random.below(3) === 0 && corner <= max ? corner : random.below(1 + random.below(max + 1));
}
