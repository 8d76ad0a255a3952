/** Statistics of a few repetitions: a median with its spread, never one number alone. */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many repetitions the figures come from. */
  readonly samples: number;
}

/** Throws RangeError on an empty list or a value that is not finite: a missing sample must not look like a fast one. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('spreadOf: no samples');
  for (const value of values) {
    if (!Number.isFinite(value)) throw new RangeError(`spreadOf: ${value} is not a finite sample`);
  }
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1], samples: sorted.length };
}

/**
 * The ratio of each repetition's pair, then their spread. Pairs ran next to each other, so a slow stretch of the machine
 * hits both sides of a ratio. Surplus samples of the longer list are left out.
 */
export function pairedRatio(over: readonly number[], under: readonly number[]): Spread {
  const pairs = Math.min(over.length, under.length);
  const ratios: number[] = [];
  for (let index = 0; index < pairs; index += 1) ratios.push(over[index] / under[index]);
  return spreadOf(ratios);
}

/** A spread with the interval in which the true median lies with a probability of at least 95 %. */
export interface MedianInterval extends Spread {
  readonly low95: number;
  readonly high95: number;
}

/**
 * By order statistics, so nothing is assumed of the distribution: k of n samples lie below the median with the probability
 * of k heads in n throws. Of fewer than six samples not even the outermost two span 95 %; they are given then.
 */
export function medianInterval(values: readonly number[]): MedianInterval {
  const spread = spreadOf(values);
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  let rank = 0;
  let term = 0.5 ** count;
  for (let below = term; below <= 0.025 && rank < count >> 1; below += term) {
    rank += 1;
    term *= (count - rank + 1) / rank;
  }
  const outer = Math.max(rank - 1, 0);
  return { ...spread, low95: sorted[outer], high95: sorted[count - 1 - outer] };
}

/**
 * libMicro's figure for many samples of one short call: the median of what lies within three standard deviations of the
 * mean. Interrupts and other guests of the machine fall outside; a second mode of the call itself does not.
 */
export function medianWithoutOutliers(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const limit = 3 * Math.sqrt(variance);
  return spreadOf(values.filter((value) => Math.abs(value - mean) <= limit)).median;
}

/** The value that a share of the samples does not exceed (nearest rank). @param share 0 < share ≤ 1 */
export function percentile(values: readonly number[] | Float64Array, share: number): number {
  if (values.length === 0) throw new RangeError('percentile: no samples');
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Four significant digits, as a number, so that JSON and table agree. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
