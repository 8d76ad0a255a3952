/** LCS: the longest common subsequence of two values, by the usual table of (a + 1) · (b + 1) lengths, walked back from its end. */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { fail, failNotInteger, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';

/** The table's bytes: more would block the server for a second and is memory outside the budget. */
const TABLE_BYTES_MAX = 256 * 1024 * 1024;

interface LcsOptions {
  isLength: boolean;
  isIndex: boolean;
  isWithLength: boolean;
  lengthMin: number;
}

/** A stretch that both have: inclusive positions in a and in b. */
interface Match {
  aStart: number;
  aEnd: number;
  bStart: number;
  bEnd: number;
}

function parseOptions(request: Request): LcsOptions {
  const options: LcsOptions = { isLength: false, isIndex: false, isWithLength: false, lengthMin: 0 };
  for (let i = 3; i < request.count; i++) {
    if (request.is(i, 'IDX')) options.isIndex = true;
    else if (request.is(i, 'LEN')) options.isLength = true;
    else if (request.is(i, 'WITHMATCHLEN')) options.isWithLength = true;
    else if (request.is(i, 'MINMATCHLEN') && i + 1 < request.count) {
      const lengthMin = request.integer(++i);
      if (lengthMin === undefined) failNotInteger();
      options.lengthMin = Math.max(lengthMin, 0);
    } else failSyntax();
  }
  if (options.isLength && options.isIndex) {
    fail('If you want both the length and indexes, please just use IDX.');
  }
  return options;
}

function lcs(client: Client, request: Request, out: ReplyWriter): void {
  const { map } = client.db;
  const options = parseOptions(request);
  const a = map.get(request.arg(1)) ?? new Uint8Array(0);
  const b = map.get(request.arg(2)) ?? new Uint8Array(0);
  if ((a.length + 1) * (b.length + 1) * 4 > TABLE_BYTES_MAX) {
    fail('Insufficient memory, failed allocating transient memory for LCS');
  }
  const table = lengths(a, b);
  const total = table[table.length - 1];
  if (options.isLength) {
    out.integer(total);
    return;
  }
  const text = new Uint8Array(total);
  const matches = walkBack(a, b, table, text);
  if (!options.isIndex) {
    out.bulk(text);
    return;
  }
  replyMatches(
    matches.filter((match) => match.aEnd - match.aStart + 1 >= options.lengthMin),
    total,
    options.isWithLength,
    out,
  );
}

function replyMatches(matches: Match[], total: number, isWithLength: boolean, out: ReplyWriter): void {
  out.map(2);
  out.bulkText('matches');
  out.array(matches.length);
  for (const { aStart, aEnd, bStart, bEnd } of matches) {
    out.array(isWithLength ? 3 : 2);
    out.array(2);
    out.integer(aStart);
    out.integer(aEnd);
    out.array(2);
    out.integer(bStart);
    out.integer(bEnd);
    if (isWithLength) out.integer(aEnd - aStart + 1);
  }
  out.bulkText('len');
  out.integer(total);
}

/** table[i * (b.length + 1) + j]: the longest common subsequence of the first i bytes of a and the first j of b. */
function lengths(a: Uint8Array, b: Uint8Array): Uint32Array {
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    const row = i * width;
    for (let j = 1; j <= b.length; j++) {
      if (a[i - 1] === b[j - 1]) table[row + j] = table[row - width + j - 1] + 1;
      else table[row + j] = Math.max(table[row - width + j], table[row + j - 1]);
    }
  }
  return table;
}

/** Fills `text` with the subsequence and returns its stretches, last first, as Redis does. */
function walkBack(a: Uint8Array, b: Uint8Array, table: Uint32Array, text: Uint8Array): Match[] {
  const width = b.length + 1;
  const matches: Match[] = [];
  let open: Match | undefined;
  let left = text.length;
  let i = a.length;
  let j = b.length;
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      text[--left] = a[i - 1];
      if (open !== undefined && open.aStart === i && open.bStart === j) {
        open.aStart--;
        open.bStart--;
      } else {
        if (open !== undefined) matches.push(open);
        open = { aStart: i - 1, aEnd: i - 1, bStart: j - 1, bEnd: j - 1 };
      }
      i--;
      j--;
    } else if (table[(i - 1) * width + j] > table[i * width + j - 1]) {
      i--;
    } else {
      j--;
    }
  }
  if (open !== undefined) matches.push(open);
  return matches;
}

export const lcsHandlers: Handlers = { lcs };
