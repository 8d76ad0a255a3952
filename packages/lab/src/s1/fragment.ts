/**
 * Memory as S1's mail found it: 40 % of it unmovable (page tables of a thousand processes), scattered. Which frames, block
 * of 2 MiB by block, as mobility grouping leaves them:
 *
 *     30 % of the blocks   all unmovable: blocks that page tables claimed
 *     20 % of the blocks   every second frame, at random: blocks they fell back to
 *     50 % of the blocks   none
 *
 * The choice depends on frame number and seed alone, so that every policy starts with the same memory.
 */
import { fmix32 } from '../rng.ts';

const OWN_BLOCKS_PER_CENT = 30;
const MIXED_BLOCKS_PER_CENT = 20;
const MIXED_FRAMES_PER_CENT = 50;
const BLOCK_FRAMES = 512;
/** Frames left for what an instance needs while its memory is taken. */
const SPARE_SHARE = 0.02;

export interface FrameSource {
  readonly frames: number;
  takeFrame(): number;
  giveFrame(pfn: number): void;
}

export function isUnmovable(pfn: number, seed: number): boolean {
  const draw = fmix32(fmix32(Math.floor(pfn / BLOCK_FRAMES)) ^ seed) % 100;
  if (draw < OWN_BLOCKS_PER_CENT) return true;
  if (draw >= OWN_BLOCKS_PER_CENT + MIXED_BLOCKS_PER_CENT) return false;
  return fmix32(pfn ^ fmix32(seed)) % 100 < MIXED_FRAMES_PER_CENT;
}

/** Takes the memory frame by frame and gives back all but the chosen ones. Returns those. */
export function fragment(source: FrameSource, seed: number): Int32Array {
  const wanted = Math.floor(source.frames * (1 - SPARE_SHARE));
  const taken = new Int32Array(wanted);
  for (let index = 0; index < wanted; index += 1) taken[index] = source.takeFrame();
  const kept = taken.filter((pfn) => isUnmovable(pfn, seed));
  for (const pfn of taken) if (!isUnmovable(pfn, seed)) source.giveFrame(pfn);
  return kept;
}
