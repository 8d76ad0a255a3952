/**
 * Watermarks, in frames, after mm/page_alloc.c. min = 4·sqrt(managed KiB) KiB, bounded to 128 KiB … 256 MiB and, for
 * tiny budgets, to 1/16 of the node; the distance between the marks is the larger of min/4 and 0.1 % of the node.
 * kswapd works between low and high; below min only reclaim itself may allocate. Below `copy`, seven eighths, memory is
 * filling up: compressors with time to spare make copies ahead (swap/copy-ahead.ts).
 */
export interface Watermarks {
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly copy: number;
}

export function watermarksFor(frames: number): Watermarks {
  const kib = frames * 4;
  const minKib = Math.min(Math.max(Math.floor(Math.sqrt(kib * 16)), 128), 262_144);
  // At least 16: one batch of swap-out must find room for its zspages and a cluster table while it frees nothing yet.
  const min = Math.max(16, Math.min(minKib >> 2, frames >> 4));
  const step = Math.max(min >> 2, Math.floor(frames / 1000), 4);
  return { min, low: min + step, high: min + 2 * step, copy: frames - (frames >> 3) };
}
