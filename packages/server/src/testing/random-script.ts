/** Random scripts from a seed: few keys, short values and hostile arguments, so that commands meet each other's results. */

/** A small deterministic generator (mulberry32). */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const KEYS = ['a', 'b', 'c', 'd', '"k\\x00\\xff"', '""'];
const VALUES = [
  'x',
  'hello',
  '""',
  '0',
  '7',
  '-3',
  '10000',
  '9223372036854775807',
  '3.5',
  '"\\xff\\x00\\x0f"',
  'a-text-of-just-forty-four-bytes-0123456789ab',
  'a-text-of-more-than-forty-four-bytes-0123456789abcdef',
];
const NUMBERS = [
  '0',
  '1',
  '-1',
  '2',
  '5',
  '-7',
  '13',
  '100',
  '-100',
  '9223372036854775807',
  '-9223372036854775808',
  'x',
  '1.5',
];
const OFFSETS = ['0', '1', '3', '7', '8', '17', '40', '63', '-1', 'x'];
const FLOATS = ['1.5', '-0.25', '1e3', '0.1', '3', '-7.000001', 'x', '1e-5'];
const MOMENTS = ['33177117420', '33177117421', '33177117999', '1', '0', '-5', 'x'];
const TIME_FLAGS = ['', '', 'NX', 'XX', 'GT', 'LT', 'XX GT', 'NX XX'];
const SET_FLAGS = [
  '',
  '',
  '',
  'NX',
  'XX',
  'GET',
  'KEEPTTL',
  'NX GET',
  'XX GET',
  'EXAT 33177117420',
  'PXAT 33177117420111',
  'KEEPTTL EX 5',
];
const GETEX_FLAGS = ['', 'PERSIST', 'EXAT 33177117423', 'PXAT 33177117423222', 'EXAT 1', 'FOO'];
const UNITS = ['', '', 'BIT', 'BYTE', 'bit'];

/** K key, V value, N number, O offset, F float, M moment, T/S/G flags, B bit, R range or none, U range with a unit. */
const TEMPLATES = `
  GET K, GET K, SET K V S, SET K V S, SET K V, SETNX K V, GETSET K V, GETDEL K, GETEX K G, STRLEN K, APPEND K V,
  APPEND K V, GETRANGE K N N, SUBSTR K O N, SETRANGE K O V, MGET K K K, MSET K V K V, MSETNX K V K V, INCR K,
  DECR K, INCRBY K N, DECRBY K N, INCRBYFLOAT K F, SETBIT K O B, GETBIT K O, BITCOUNT K R, BITCOUNT K U,
  BITPOS K B R, BITPOS K B U, BITOP AND K K K, BITOP OR K K K, BITOP XOR K K K, BITOP NOT K K, DEL K, DEL K K,
  UNLINK K, EXISTS K K, TYPE K, TOUCH K K, RENAME K K, RENAMENX K K, COPY K K, COPY K K REPLACE, COPY K K DB 1,
  EXPIREAT K M T, PEXPIREAT K M T, EXPIRETIME K, PEXPIRETIME K, PERSIST K, OBJECT ENCODING K, OBJECT ENCODING K,
  LCS K K, LCS K K LEN, LCS K K IDX, ~sort KEYS *, ~sort SCAN 0 COUNT 1000, DBSIZE, SELECT 0, SELECT 1, MULTI,
  ~sort EXEC, ~sort EXEC, DISCARD, WATCH K, @2 SET K V, @2 DEL K, @2 APPEND K V, UNWATCH, PING, ECHO V
`
  .trim()
  .split(/,\s+/);

/** `count` lines of a script. The same seed gives the same lines. */
export function randomScript(seed: number, count: number): string[] {
  const random = makeRandom(seed);
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)];
  const range = () => (random() < 0.3 ? '' : `${pick(NUMBERS)} ${pick(NUMBERS)}`);
  const fill: Record<string, () => string> = {
    K: () => pick(KEYS),
    V: () => pick(VALUES),
    N: () => pick(NUMBERS),
    O: () => pick(OFFSETS),
    F: () => pick(FLOATS),
    M: () => pick(MOMENTS),
    T: () => pick(TIME_FLAGS),
    S: () => pick(SET_FLAGS),
    G: () => pick(GETEX_FLAGS),
    B: () => (random() < 0.95 ? String(Math.floor(random() * 2)) : '2'),
    R: range,
    U: () => `${pick(NUMBERS)} ${pick(NUMBERS)} ${pick(UNITS)}`,
  };
  const lines: string[] = [];
  while (lines.length < count) {
    const words = pick(TEMPLATES).split(' ');
    lines.push(
      words
        .map((word, i) => (i > 0 && fill[word] !== undefined ? fill[word]() : word))
        .join(' ')
        .trim(),
    );
  }
  return lines;
}
