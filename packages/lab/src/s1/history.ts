/** The history of `lab s1` as the host reads it after a run. */
import { readFileSync } from 'node:fs';
import { HISTORY_BYTES } from './pgbench.ts';

/** A record: client, page, delta, the rest unused. */
export const DELTA_AT = 8;

export function historyOf(path: string): { bytes: number; deltaSum: number } {
  const bytes = readFileSync(path);
  let deltaSum = 0;
  for (let at = 0; at + HISTORY_BYTES <= bytes.length; at += HISTORY_BYTES)
    deltaSum += bytes.readInt32LE(at + DELTA_AT);
  return { bytes: bytes.length, deltaSum };
}
