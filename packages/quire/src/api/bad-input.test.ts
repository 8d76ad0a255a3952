/** Every public call with arguments it must refuse: the documented code, thrown or rejected, and nothing changed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { QuireErrorCode } from '../base/errors.ts';
import { parseBytes } from '../base/units.ts';
import type { QuireOptions } from './options.ts';
import { Quire, type QuireHandle, type RegionOptions } from './quire.ts';
import { type BadCall, expectAll, NOT_INTEGERS, withCode } from './testing/expect-code.ts';

const MIB = 2 ** 20;
const INVALID = 'ERR_QUIRE_INVALID_ARG';
const RANGE = 'ERR_QUIRE_RANGE';

/** An argument of the wrong type, past the compiler. */
// biome-ignore lint/suspicious/noExplicitAny: wrong types are the subject.
const wrong = (value: unknown): any => value;

function badPolicies(): [string, unknown][] {
  return ['compaction', 'reclaim'].flatMap((name) =>
    [null, 5, '', 'Stocked', {}, true].map((value): [string, unknown] => [name, value]),
  );
}

/** Options of files one by one, with what each refuses. */
function badFileOptions(): [string, unknown, typeof INVALID | typeof RANGE][] {
  const integers = ['dirtyRatio', 'dirtyBackgroundRatio', 'dirtyExpireMs', 'dirtyWritebackMs'];
  return [
    ...integers.flatMap((name) => [null, Number.NaN, 1.5, '10', {}].map((value) => [name, value, INVALID] as const)),
    ...integers.flatMap((name) => [-1, 2 ** 31].map((value) => [name, value, RANGE] as const)),
    ['dirtyRatio', 0, RANGE],
    ['dirtyRatio', 101, RANGE],
    ['dirtyBackgroundRatio', 20, RANGE],
    ['dirtyWritebackMs', 0, RANGE],
    ...[null, Number.NaN, -1, 1.5, 'much', {}].map((value) => ['readaheadBytes', value, INVALID] as const),
    ['readaheadBytes', '1GiB', RANGE],
  ] as [string, unknown, typeof INVALID | typeof RANGE][];
}

function badFileTiers(): [string, unknown[], QuireErrorCode][] {
  return [
    ['nine file tiers', Array.from({ length: 9 }, () => ({ tier: 'file' })), RANGE],
    ...[0.5, '1', null, Number.NaN].map((priority): [string, unknown[], QuireErrorCode] => [
      `priority ${priority}`,
      [{ tier: 'file', priority }],
      INVALID,
    ]),
    ['priority −1', [{ tier: 'file', priority: -1 }], RANGE],
    ['priority 2^15', [{ tier: 'file', priority: 2 ** 15 }], RANGE],
  ];
}

function openSmall(options: Partial<QuireOptions> = {}): Promise<Quire> {
  return Quire.open({ budget: '8MiB', threads: 0, ...options });
}

describe('bad input', () => {
  it('Quire.open', async () => {
    const open = (options: unknown) => () => Quire.open(wrong(options));
    const budget = '8MiB';
    const calls: BadCall[] = [
      ...[undefined, null, 5, 'x', []].map(
        (value) => ({ what: `options ${String(value)}`, call: open(value), code: INVALID }) as const,
      ),
      ...[undefined, null, Number.NaN, -1, 0, 1.5, 'lots', '10 apples', '-5MiB', '', {}, true, '200%'].map(
        (value) => ({ what: `budget ${String(value)}`, call: open({ budget: value }), code: INVALID }) as const,
      ),
      { what: 'budget too small', call: open({ budget: 7 * MIB }), code: RANGE },
      { what: 'budget above the machine', call: open({ budget: '90TiB' }), code: RANGE },
      { what: 'budget above the process', call: open({ budget: 2 ** 37 }), code: RANGE },
      ...[null, 5, 'compressed', {}].map(
        (swap) => ({ what: `swap ${String(swap)}`, call: open({ budget, swap }), code: INVALID }) as const,
      ),
      ...[null, 5, {}, { tier: 'tape' }].map(
        (tier) =>
          ({ what: `tier ${JSON.stringify(tier)}`, call: open({ budget, swap: [tier] }), code: INVALID }) as const,
      ),
      {
        what: 'two compressed tiers',
        call: open({ budget, swap: [{ tier: 'compressed' }, { tier: 'compressed' }] }),
        code: INVALID,
      },
      {
        what: 'compressed after file',
        call: open({ budget, swap: [{ tier: 'file' }, { tier: 'compressed' }] }),
        code: INVALID,
      },
      ...badFileTiers().map(([what, swap, code]) => ({ what, call: open({ budget, swap }), code }) as const),
      { what: 'codec gzip', call: open({ budget, swap: [{ tier: 'compressed', codec: 'gzip' }] }), code: INVALID },
      { what: 'file size NaN', call: open({ budget, swap: [{ tier: 'file', size: Number.NaN }] }), code: INVALID },
      { what: 'file size tiny', call: open({ budget, swap: [{ tier: 'file', size: 5 }] }), code: RANGE },
      { what: 'file path 5', call: open({ budget, swap: [{ tier: 'file', path: 5 }] }), code: INVALID },
      { what: 'file path empty', call: open({ budget, swap: [{ tier: 'file', path: '' }] }), code: INVALID },
      {
        what: 'file in no folder',
        call: open({ budget, swap: [{ tier: 'file', path: '/nowhere/at/all/x.swap' }] }),
        code: 'ERR_QUIRE_IO',
      },
      ...[null, Number.NaN, 1.5, 'two', {}].map(
        (threads) => ({ what: `threads ${String(threads)}`, call: open({ budget, threads }), code: INVALID }) as const,
      ),
      ...[-1, 17].map(
        (threads) => ({ what: `threads ${threads}`, call: open({ budget, threads }), code: RANGE }) as const,
      ),
      ...badPolicies().map(
        ([name, value]) =>
          ({ what: `${name} ${String(value)}`, call: open({ budget, [name]: value }), code: INVALID }) as const,
      ),
      ...[5, 'x', []].map(
        (files) => ({ what: `files ${String(files)}`, call: open({ budget, files }), code: INVALID }) as const,
      ),
      ...badFileOptions().map(
        ([name, value, code]) =>
          ({ what: `files.${name} ${String(value)}`, call: open({ budget, files: { [name]: value } }), code }) as const,
      ),
    ];
    await expectAll(calls);
  });

  it('Quire.attach', async () => {
    await using quire = await openSmall();
    const { handle } = quire;
    const forged: unknown[] = [
      undefined,
      null,
      5,
      'x',
      {},
      [],
      { memories: [] },
      { memories: [1] },
      { ...handle, memories: [] },
      { ...handle, module: {} },
      { ...handle, channel: 5 },
    ];
    const foreign = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
    forged.push({ ...handle, memories: [foreign] });
    await expectAll(
      forged.map((value, i) => ({
        what: `handle ${i}`,
        call: () => Quire.attach(value as QuireHandle),
        code: INVALID,
      })),
    );
    assert.equal(quire.stats().threads, 1, 'none of them took a thread slot');
  });

  it('quire.region', async () => {
    await using quire = await openSmall();
    const region = (options: unknown) => () => quire.region(options as RegionOptions);
    const size = MIB;
    await expectAll([
      ...[undefined, null, 5, 'x'].map(
        (value) => ({ what: `options ${String(value)}`, call: region(value), code: INVALID }) as const,
      ),
      ...[undefined, null, Number.NaN, -1, 0, 1.5, 'x', '50%', {}, 2 ** 60].map(
        (value) => ({ what: `size ${String(value)}`, call: region({ size: value }), code: INVALID }) as const,
      ),
      { what: 'size above 2^45', call: region({ size: 2 ** 45 + 1 }), code: RANGE },
      ...[5, {}, true].map(
        (name) => ({ what: `name ${String(name)}`, call: region({ size, name }), code: INVALID }) as const,
      ),
      { what: 'long name', call: region({ size, name: 'é'.repeat(61) }), code: RANGE },
      { what: 'group 5', call: region({ size, group: 5 }), code: INVALID },
      { what: "access 'fast'", call: region({ size, access: 'fast' }), code: INVALID },
      { what: 'access null', call: region({ size, access: null }), code: INVALID },
    ]);
    quire.region({ size: 4 * MIB, name: 'shared' });
    await expectAll([{ what: 'other size', call: region({ size: 40 * MIB, name: 'shared' }), code: RANGE }]);
    const unnamed = Array.from({ length: 511 }, () => quire.region({ size }));
    await expectAll([{ what: 'region 513', call: region({ size }), code: 'ERR_QUIRE_OUT_OF_MEMORY' }]);
    unnamed[0].close();
    quire.region({ size }).close();
  });

  it('Region: offsets, lengths, bytes', async () => {
    await using quire = await openSmall();
    const region = quire.region({ size: 3 * MIB + 5 });
    const end = region.size;
    const bytes = new Uint8Array(10);
    const calls: BadCall[] = [];
    for (const bad of NOT_INTEGERS) {
      const offset = wrong(bad);
      const what = `${typeof bad} ${String(bad)}`;
      for (const [name, call] of Object.entries({
        read: () => region.read(offset, bytes),
        write: () => region.write(offset, bytes),
        fill: () => region.fill(offset, 1),
        'fill length': () => region.fill(0, offset),
        discard: () => region.discard(offset, 1),
        'discard length': () => region.discard(0, offset),
        pin: () => region.pin(offset, 1),
        'pin length': () => region.pin(0, offset),
        readAsync: () => region.readAsync(offset, bytes),
        writeAsync: () => region.writeAsync(offset, bytes),
        fillAsync: () => region.fillAsync(offset, 1),
        discardAsync: () => region.discardAsync(offset, 1),
        pinAsync: () => region.pinAsync(offset, 1),
        prefetch: () => region.prefetch(offset, 1),
        'prefetch length': () => region.prefetch(0, offset),
      })) {
        calls.push({ what: `${name}: ${what}`, call, code: INVALID });
      }
    }
    for (const bad of [undefined, null, 5, 'text', [1, 2], new ArrayBuffer(8), new Uint16Array(4), {}]) {
      const target = wrong(bad);
      calls.push({ what: `read into ${String(bad)}`, call: () => region.read(0, target), code: INVALID });
      calls.push({ what: `write of ${String(bad)}`, call: () => region.write(0, target), code: INVALID });
      calls.push({ what: `readAsync into ${String(bad)}`, call: () => region.readAsync(0, target), code: INVALID });
      calls.push({ what: `writeAsync of ${String(bad)}`, call: () => region.writeAsync(0, target), code: INVALID });
    }
    for (const bad of [Number.NaN, 1.5, '7', null]) {
      calls.push({ what: `fill with ${String(bad)}`, call: () => region.fill(0, 1, wrong(bad)), code: INVALID });
    }
    calls.push(
      { what: 'fill with 256', call: () => region.fill(0, 1, 256), code: RANGE },
      { what: 'fill with -1', call: () => region.fill(0, 1, -1), code: RANGE },
      { what: 'read past the end', call: () => region.read(end - 9, bytes), code: RANGE },
      { what: 'read far past the end', call: () => region.read(2 ** 52, bytes), code: RANGE },
      { what: 'write past the end', call: () => region.write(end - 9, bytes), code: RANGE },
      { what: 'fill past the end', call: () => region.fill(end, 1), code: RANGE },
      { what: 'discard past the end', call: () => region.discard(0, end + 1), code: RANGE },
      { what: 'pin past the end', call: () => region.pin(end, 1), code: RANGE },
      { what: 'pin of nothing', call: () => region.pin(0, 0), code: RANGE },
      { what: 'pin over a 2 MiB border', call: () => region.pin(2 * MIB - 5, 10), code: RANGE },
      { what: 'pin of more than 2 MiB', call: () => region.pin(0, 2 * MIB + 1), code: RANGE },
      { what: 'readAsync past the end', call: () => region.readAsync(end, bytes), code: RANGE },
      { what: 'writeAsync past the end', call: () => region.writeAsync(end, bytes), code: RANGE },
      { what: 'prefetch past the end', call: () => region.prefetch(end, 1), code: RANGE },
    );
    await expectAll(calls);
    assert.equal(quire.stats().nr_anon_pages, 0, 'nothing was stored');
    region.read(end, new Uint8Array(0));
    region.write(end - 10, bytes);
    region.discard(end, 0);
  });

  it('quire.map', async () => {
    await using quire = await openSmall();
    const map = (options: unknown) => () => quire.map(wrong(options));
    await expectAll([
      ...[null, 5, 'x'].map(
        (value) => ({ what: `options ${String(value)}`, call: map(value), code: INVALID }) as const,
      ),
      ...[5, {}].map((name) => ({ what: `name ${String(name)}`, call: map({ name }), code: INVALID }) as const),
      { what: 'long name', call: map({ name: 'x'.repeat(121) }), code: RANGE },
      ...[Number.NaN, -1, 0, 'x', null, {}].map(
        (maxBytes) => ({ what: `maxBytes ${String(maxBytes)}`, call: map({ maxBytes }), code: INVALID }) as const,
      ),
      { what: 'ttlMs NaN', call: map({ ttlMs: Number.NaN }), code: INVALID },
      { what: 'ttlMs -1', call: map({ ttlMs: -1 }), code: RANGE },
      { what: 'value format', call: map({ value: 'xml' }), code: INVALID },
      { what: 'dispose 5', call: map({ dispose: 5 }), code: INVALID },
    ]);
    const opened = quire.map<string, Uint8Array>({ name: 'm' });
    const value = new Uint8Array(3);
    await expectAll([
      ...[undefined, null, {}, true, Symbol('s')].map(
        (key) => ({ what: `key ${String(key)}`, call: () => opened.set(wrong(key), value), code: INVALID }) as const,
      ),
      ...[undefined, null, 5, 'text', {}].map(
        (bad) => ({ what: `value ${String(bad)}`, call: () => opened.set('k', wrong(bad)), code: INVALID }) as const,
      ),
      { what: 'long key', call: () => opened.set('k'.repeat(70_000), value), code: RANGE },
      { what: 'ttl 0', call: () => opened.set('k', value, { ttlMs: 0 }), code: RANGE },
      { what: 'ttl text', call: () => opened.set('k', value, { ttlMs: wrong('1') }), code: INVALID },
      { what: 'get 5n', call: () => opened.get(wrong(5n)), code: INVALID },
      { what: 'forEach 5', call: () => opened.forEach(wrong(5)), code: INVALID },
      { what: 'deleteMany 5', call: () => opened.deleteMany(wrong(5)), code: INVALID },
      { what: 'reap x', call: () => opened.reap(wrong('x')), code: INVALID },
    ]);
    assert.equal(opened.size, 0);
    assert.ok(opened.isValid());
  });
});

/** Each kind of option object, whose every member is right, with one more. */
function unknownOptions(quire: Quire): [string, (more: object) => unknown][] {
  const budget = '8MiB';
  const region = quire.region({ size: MIB });
  const map = quire.map();
  const group = quire.group('g');
  const buffer = new Uint8Array(8);
  const open = (options: object) => Quire.open({ budget, threads: 0, ...options });
  return [
    ['options has no option', (more) => open(more)],
    ['files has no option', (more) => open({ files: { ...more } })],
    ['pressure[] has no option', (more) => open({ pressure: [{ kind: 'some', stallMs: 1, windowMs: 500, ...more }] })],
    ['compressed tier has no option', (more) => open({ swap: [{ tier: 'compressed', codec: 'lz4', ...more }] })],
    ['file tier has no option', (more) => open({ swap: [{ tier: 'file', size: '1MiB', ...more }] })],
    ['file tier has no option', (more) => quire.swapon({ tier: 'file', size: '1MiB', ...more })],
    ['options has no option', (more) => quire.swapoff('compressed', more)],
    ['options has no option', (more) => quire.region({ size: MIB, ...more })],
    ['options has no option', (more) => region.clone({ name: 'c', ...more })],
    ['options has no option', (more) => quire.map({ value: 'bytes', ...more })],
    ['options has no option', (more) => quire.byteMap({ name: 'b', ...more })],
    ['options has no option', (more) => map.set('k', buffer, { ttlMs: 5, ...more })],
    ['options has no option', (more) => map.setAsync('k', buffer, more)],
    ['options has no option', (more) => quire.group('g', { limit: MIB, ...more })],
    ['options has no option', (more) => group.setLimit({ limit: MIB, ...more })],
    ['options has no option', (more) => quire.openFile('/dev/null', 'r', { mode: 0o600, ...more })],
  ];
}

describe('an option that nobody knows', () => {
  it('is refused, by name, beside those there are, in every call that takes options', async () => {
    await using quire = await openSmall();
    const before = quire.stats();
    for (const [text, call] of unknownOptions(quire)) {
      for (const name of ['budgt', 'toString', '__proto_', '']) {
        const isRefused = (error: Error): boolean => {
          assert.ok(error.message.startsWith(`${text} '${name}', only `), `${error.message} of ${call}`);
          return withCode(INVALID)(error);
        };
        await assert.rejects(async () => call({ [name]: 1 }), isRefused, `${call}`);
      }
    }
    assert.deepEqual(quire.stats().tiers, before.tiers);
    assert.equal(quire.stats().swap_slots_used, 0);
  });

  it('is left alone by the methods of a handle, as by those of Node', async () => {
    await using quire = await openSmall();
    const folder = mkdtempSync(join(tmpdir(), 'quire-options-'));
    try {
      const file = await quire.openFile(join(folder, 'f'), 'w+');
      const other = { flag: 'r', highWaterMark: 64 };
      assert.equal((await file.write(Buffer.from('line'), { position: 0, ...other })).bytesWritten, 4);
      assert.equal((await file.read({ buffer: Buffer.alloc(8), position: 0, ...other })).bytesRead, 4);
      assert.equal(await file.readFile({ encoding: 'utf8', ...other }), 'line');
      const lines: string[] = [];
      for await (const line of file.readLines({ start: 0, ...other })) lines.push(line);
      assert.deepEqual(lines, ['line']);
      assert.equal((await file.stat({ bigint: true, ...other })).size, 4n);
      await file.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is told beside all that are known', async () => {
    const known = 'budget, swap, threads, files, compaction, pressure, virtual, reclaim';
    await assert.rejects(Quire.open(wrong({ budgt: 1 })), { message: `options has no option 'budgt', only ${known}` });
  });

  it('what has all of its names is taken', async () => {
    await using quire = await openSmall({
      swap: [{ tier: 'compressed', codec: 'lz4', incompressible: 'keep' }],
      files: { dirtyRatio: 20, dirtyBackgroundRatio: 10, dirtyExpireMs: 5, dirtyWritebackMs: 5, readaheadBytes: 0 },
      pressure: [{ kind: 'some', stallMs: 1, windowMs: 500 }],
      compaction: 'stocked',
      virtual: true,
      reclaim: 's3-fifo',
    });
    const region = quire.region({ size: MIB, name: 'r', group: 'g', access: 'auto' });
    region.clone({ name: 'c', group: 'h' }).close();
    quire.map({ name: 'm', group: 'g', value: 'utf8', ttlMs: 5, maxBytes: MIB, dispose: () => {}, now: Date.now });
    quire.byteMap({ name: 'b', group: 'g', maxBytes: MIB, countsUses: false, random: Math.random, seed: 5 });
    quire.group('g', { limit: MIB, swapLimit: 0 }).setLimit({});
  });
});

describe('a group without a name', () => {
  it('is none: not made, and nothing is charged to it', async () => {
    await using quire = await openSmall();
    const region = quire.region({ size: MIB });
    const message = "group must be a name of at least one character, received ''";
    for (const call of [
      () => quire.group(''),
      () => quire.region({ size: MIB, group: '' }),
      () => region.clone({ group: '' }),
      () => quire.map({ group: '' }),
      () => quire.byteMap({ group: '' }),
    ])
      assert.throws(call, { code: INVALID, message }, `${call}`);
    await assert.rejects(quire.openFile('/dev/null', 'r', { group: '' }), { code: INVALID, message });
    await expectAll([
      { what: 'no name at all', call: () => quire.group(wrong(undefined)), code: INVALID },
      { what: 'null', call: () => quire.group(wrong(null)), code: INVALID },
      { what: 'a name too long', call: () => quire.group('x'.repeat(32)), code: RANGE },
    ]);
    assert.deepEqual(Object.keys(quire.stats().groups), ['default']);
  });
});

describe('parseBytes', () => {
  it('reads numbers, binary and decimal units, and shares of a whole', () => {
    const good: [unknown, number][] = [
      [1, 1],
      ['1', 1],
      ['512MiB', 512 * MIB],
      [' 1.5 KiB ', 1536],
      ['2gb', 2e9],
      ['1TiB', 2 ** 40],
      ['0.5GiB', 2 ** 29],
      ['10B', 10],
    ];
    for (const [text, bytes] of good) assert.equal(parseBytes(text), bytes, String(text));
    assert.equal(parseBytes('25%', 1000), 250);
    assert.equal(parseBytes('25%'), undefined);
    assert.equal(parseBytes('101%', 1000), undefined);
  });

  it('refuses everything else', () => {
    for (const bad of [
      0,
      -1,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 60,
      '',
      'MiB',
      '1 parsec',
      '1e3',
      '0x10',
      '-1',
      '0',
      '0.5B',
      null,
      undefined,
      {},
      [5],
      true,
    ]) {
      assert.equal(parseBytes(bad, 100), undefined, String(bad));
    }
  });
});
