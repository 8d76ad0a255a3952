/**
 * Units and branded indices. A brand keeps a frame number from being passed where a slot is wanted; it costs nothing
 * at run time.
 */
export type Pfn = number & { readonly brand: 'pfn' };
export type SlotIndex = number & { readonly brand: 'slot' };
export type Order = number & { readonly brand: 'order' };
/** Index into a node's `words` (Int32Array), not a byte offset. */
export type WordIndex = number & { readonly brand: 'word' };

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

export const PAGE_SHIFT = 12;
export const PAGE_BYTES = 1 << PAGE_SHIFT;
export const PAGE_WORDS = PAGE_BYTES >> 2;
/** 2^9 frames = 2 MiB, the huge-page size of x86-64 and the unit a region is dealt in. */
export const ORDER_MAX = 9;
export const CHUNK_PAGES = 1 << ORDER_MAX;
export const CHUNK_BYTES = CHUNK_PAGES * PAGE_BYTES;
/** Pages of a region that is read in sequence are swapped out four at a time, as one unit of 16 KiB (swap/unit.ts). */
export const UNIT_ORDER = 2;
export const UNIT_PAGES = 1 << UNIT_ORDER;
export const UNIT_BYTES = UNIT_PAGES * PAGE_BYTES;

/** "No frame": frame 0 holds the header, so it is never handed out. */
export const NO_PFN = 0 as Pfn;

const UNITS: Record<string, number> = {
  b: 1,
  kib: KIB,
  mib: MIB,
  gib: GIB,
  tib: GIB * KIB,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

/**
 * Bytes from `536870912`, `'512MiB'`, `'0.5GiB'` or, with `whole` given, `'40%'`. Undefined when it is none of these
 * or not a safe, positive number of bytes. Binary units (KiB, MiB, GiB, TiB) and decimal ones (kB, MB, GB, TB), any
 * case.
 */
export function parseBytes(value: unknown, whole?: number): number | undefined {
  if (typeof value === 'number') return checkBytes(value);
  if (typeof value !== 'string') return undefined;
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+|%)?\s*$/i.exec(value);
  if (match === null) return undefined;
  const amount = Number(match[1]);
  const unit = (match[2] ?? 'b').toLowerCase();
  if (unit === '%')
    return whole === undefined || amount > 100 ? undefined : checkBytes(Math.floor((whole * amount) / 100));
  const scale = UNITS[unit];
  return scale === undefined ? undefined : checkBytes(Math.floor(amount * scale));
}

function checkBytes(bytes: number): number | undefined {
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/** `'256 MiB'`, for messages. One decimal when it does not divide evenly. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let amount = bytes;
  while (amount >= 1024 && unit < names.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${names[unit]}`;
}
