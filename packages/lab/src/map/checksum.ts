/** What a timed get adds to the checksum: one byte of its value, another one each step. */
export function mixed(sum: number, value: Uint8Array, step: number): number {
  return (Math.imul(sum, 31) + value[step % value.length]) | 0;
}
