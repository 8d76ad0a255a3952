/**
 * Blocks a decoder must survive: noise, valid blocks cut short or with bytes changed, and well-formed sequences whose
 * lengths and distances are drawn to lie at or beyond the limits.
 */
import type { Random } from './random.ts';

export function hostileBlock(random: Random, valid: Uint8Array): Uint8Array {
  switch (random.below(5)) {
    case 0:
      return noiseBlock(random);
    case 1:
      return valid.subarray(0, random.below(valid.length + 1));
    case 2:
      return mutated(random, valid);
    case 3:
      return withTail(random, valid);
    default:
      return assembledBlock(random);
  }
}

function noiseBlock(random: Random): Uint8Array {
  return Uint8Array.from({ length: random.below(200) }, () => random.below(256));
}

function mutated(random: Random, valid: Uint8Array): Uint8Array {
  const block = Uint8Array.from(valid);
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i++) {
    const value = random.below(3);
    block[random.below(block.length)] = value === 0 ? 255 : value === 1 ? 0 : random.below(256);
  }
  return block;
}

function withTail(random: Random, valid: Uint8Array): Uint8Array {
  const block = new Uint8Array(valid.length + 1 + random.below(40));
  block.set(valid);
  for (let i = valid.length; i < block.length; i++) block[i] = random.below(256);
  return block;
}

/**
 * Sequences with their lengths spelled correctly and everything else drawn: overlong counts, distances of 0 and past
 * the start.
 */
function assembledBlock(random: Random): Uint8Array {
  const out: number[] = [];
  const count = 1 + random.below(12);
  for (let i = 0; i < count; i++) {
    const literals = drawCount(random);
    const length = drawCount(random);
    out.push((Math.min(literals, 15) << 4) | Math.min(length, 15));
    pushRest(out, literals);
    const present = random.below(8) === 0 ? random.below(literals + 1) : literals;
    for (let j = 0; j < Math.min(present, 400); j++) out.push(random.below(256));
    const offset = random.below(6) === 0 ? random.below(65536) : random.below(24);
    out.push(offset & 255, offset >> 8);
    pushRest(out, length);
  }
  if (random.below(2) === 0) out.push(0x50, 1, 2, 3, 4, 5);
  return Uint8Array.from(out);
}

function drawCount(random: Random): number {
  const kind = random.below(10);
  if (kind < 7) return random.below(20);
  return kind < 9 ? random.below(300) : random.below(100_000);
}

function pushRest(out: number[], count: number): void {
  if (count < 15) return;
  let rest = count - 15;
  for (; rest >= 255; rest -= 255) out.push(255);
  out.push(rest);
}
