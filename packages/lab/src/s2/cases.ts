/**
 * libMicro's six write cases as in S2's mail: a cached file of 10 MB, calls at its start. As in libMicro, each batch of
 * `write` and `writev` begins at the start again, outside the time, and moves on from there; `pwrite` stays in its place.
 * `writev` has 10 vectors.
 */

export type Call = 'write' | 'pwrite' | 'writev';

export interface WriteCase {
  readonly name: string;
  readonly call: Call;
  /** Of one vector. */
  readonly bytes: number;
  readonly vectors: number;
  /** Where in the file. */
  readonly offset: number;
  /** µs per call in the mail: v6.12 with small folios, v6.18 with large ones, v6.18 with the fix. */
  readonly mail: readonly [small: number, large: number, fixed: number] | null;
}

export const FILE_BYTES = 10 * 2 ** 20;
export const SMALL_FOLIO_BYTES = 4096;
export const LARGE_FOLIO_BYTES = 2 * 2 ** 20;
/**
 * Calls a sample is the mean of: long against the clock, short against an interrupt. A single write of 1 KiB is over in less
 * time than reading the clock twice takes, so it needs more of them than a vector of ten.
 */
export const BATCH = 100;
export const BATCH_OF_VECTORS = 10;
/** libMicro's option -C of the mail. */
export const SAMPLES = 200;

export const CASES: readonly WriteCase[] = [
  caseOf('write_u1k', 'write', 1024, [0.609, 4.659, 0.528]),
  caseOf('write_u10k', 'write', 10240, [1.408, 4.869, 0.809]),
  caseOf('pwrite_u1k', 'pwrite', 1024, [0.609, 4.659, 0.538]),
  caseOf('pwrite_u10k', 'pwrite', 10240, [1.399, 4.889, 0.819]),
  caseOf('writev_u1k', 'writev', 1024, [2.238, 5.277, 1.179]),
  caseOf('writev_u10k', 'writev', 10240, [11.057, 8.029, 4.219]),
];

/** The last block of the first large folio, where a walk from the folio's start is longest. */
export const END_CASE: WriteCase = {
  ...caseOf('pwrite_u1k_at_end', 'pwrite', 1024, null),
  offset: LARGE_FOLIO_BYTES - SMALL_FOLIO_BYTES,
};

function caseOf(name: string, call: Call, bytes: number, mail: WriteCase['mail']): WriteCase {
  return { name, call, bytes, vectors: call === 'writev' ? 10 : 1, offset: 0, mail };
}

export function batchOf({ vectors }: WriteCase): number {
  return vectors === 1 ? BATCH : BATCH_OF_VECTORS;
}

/** Bytes of the file that a batch changes. */
export function reachOf({ call, bytes, vectors }: WriteCase, batch: number): number {
  return bytes * vectors * (call === 'pwrite' ? 1 : batch);
}

/** The line that a child obeys; native/host-file.c reads it too. */
export function caseLine({ call, offset, bytes, vectors }: WriteCase, samples: number, batch: number): string {
  return `case ${call} ${offset} ${bytes} ${vectors} ${samples} ${batch}`;
}

export interface CaseOrder {
  readonly work: WriteCase;
  readonly samples: number;
  readonly batch: number;
}

/** The mirror of caseLine. Throws RangeError on any other line. */
export function orderOf(line: string): CaseOrder {
  const [word, call, ...rest] = line.split(' ');
  const [offset, bytes, vectors, samples, batch] = rest.map(Number);
  const isCall = call === 'write' || call === 'pwrite' || call === 'writev';
  if (word !== 'case' || !isCall || rest.length !== 5 || !rest.every((text) => /^\d+$/.test(text))) {
    throw new RangeError(`not a case: ${line}`);
  }
  return { work: { name: call, call, offset, bytes, vectors, mail: null }, samples, batch };
}
