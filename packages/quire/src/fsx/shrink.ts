/**
 * Finds few operations that still fail: drops ever smaller runs of them (Zeller's ddmin, one pass a size), as long as
 * time is left.
 */
export async function shrink(
  indices: readonly number[],
  fails: (some: readonly number[]) => Promise<boolean>,
  msMax: number,
): Promise<number[]> {
  const end = performance.now() + msMax;
  let kept = [...indices];
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < kept.length && performance.now() < end; ) {
      const without = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (await fails(without)) kept = without;
      else at += size;
    }
  }
  return kept;
}

/** `'3,7-9'` of 3, 7, 8, 9. */
export function formatRanges(indices: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < indices.length; ) {
    let end = at;
    while (end + 1 < indices.length && indices[end + 1] === indices[end] + 1) end++;
    parts.push(end === at ? `${indices[at]}` : `${indices[at]}-${indices[end]}`);
    at = end + 1;
  }
  return parts.join(',');
}

/** The other way round. Throws TypeError on anything else. */
export function parseRanges(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (match === null) throw new TypeError(`not a list of numbers and ranges: '${text}'`);
    const first = Number(match[1]);
    const last = Number(match[2] ?? first);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  });
}
