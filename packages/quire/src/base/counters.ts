/**
 * Event counters under their /proc/vmstat names where Linux has one. Each thread counts in its own Float64 array (no
 * atomics on hot paths); `stats()` adds them up. Counts of a thread that left are folded into the node's first
 * thread.
 */
export const COUNTER_NAMES = [
  'pgfault',
  'pgmajfault',
  'pswpin',
  'pswpout',
  'zswpin',
  'zswpout',
  'zswpwb',
  'swpin_zero',
  'swpout_zero',
  'pgscan_kswapd',
  'pgscan_direct',
  'pgsteal_kswapd',
  'pgsteal_direct',
  'pgsteal_anon',
  'pgrotated',
  'pgactivate',
  'pgrefill',
  'pageoutrun',
  'allocstall',
  'workingset_refault_anon',
  'transient_reads',
  'swap_clean_copies',
  'swap_rescued',
  'swap_cancelled',
  'kcompressd_pages',
  'kcompressd_fallback',
  'zs_compacted',
  'zs_incompressible',
  'file_reads',
  'file_writes',
  'file_bytes_read',
  'file_bytes_written',
  'file_segments_cleaned',
  'file_read_errors',
  'file_write_errors',
  'file_corrupt',
  'swap_full',
  'optimistic_retries',
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];

/** Index of each counter in a thread's array. */
export const C = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index])) as Record<CounterName, number>;
