import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type MapKey, QuireMap, type QuireMapOptions } from './quire-map.ts';
import { createPlainMap } from './testing/plain-map.ts';
import { createPlainQuireMap } from './testing/plain-quire-map.ts';

const key: fc.Arbitrary<MapKey> = fc.oneof(
  fc.constantFrom<MapKey>('', '1', 1, 'a', 'é', '\ud800', '\ufffd', 0, -0, Number.NaN, 1.5, -1, 'key 1', 'key 2'),
  fc.constantFrom([], [0x31], [1, 0x31]).map((bytes) => new Uint8Array(bytes)),
);

/** Map's own idea of the key: bytes by content. */
function plainKey(k: MapKey): string | number {
  return k instanceof Uint8Array
    ? `bytes:${Buffer.from(k).toString('hex')}`
    : typeof k === 'string'
      ? `string:${k}`
      : k;
}

interface ModelValue {
  readonly value: unknown;
  readonly until: number;
}

type Command =
  | { op: 'set'; key: MapKey; value: unknown; ttlMs: number | undefined }
  | { op: 'get' | 'has' | 'delete' | 'ttl'; key: MapKey }
  | { op: 'touch'; key: MapKey; ttlMs: number }
  | { op: 'hasMany' | 'deleteMany'; keys: MapKey[] }
  | { op: 'tick'; ms: number }
  | { op: 'clear' | 'entries' | 'keys' | 'values' | 'forEach' | 'reap' };

const ttl = fc.constantFrom(undefined, Number.POSITIVE_INFINITY, 10, 50, 0.5);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('set' as const), key, value: fc.jsonValue(), ttlMs: ttl }) },
  { weight: 8, arbitrary: fc.record({ op: fc.constantFrom('get' as const, 'has', 'delete', 'ttl'), key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('touch' as const),
      key,
      ttlMs: fc.constantFrom(5, 20, Number.POSITIVE_INFINITY),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom('hasMany' as const, 'deleteMany'),
      keys: fc.array(key, { maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('tick' as const), ms: fc.nat(20) }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constantFrom('clear' as const, 'entries', 'keys', 'values', 'forEach', 'reap') }),
  },
);

class Model {
  readonly map = new Map<string | number, ModelValue>();
  nowMs = 1000;

  live(k: MapKey): ModelValue | undefined {
    const entry = this.map.get(plainKey(k));
    return entry !== undefined && entry.until > this.nowMs ? entry : undefined;
  }

  liveEntries(): [string, string][] {
    return [...this.map]
      .filter(([, { until }]) => until > this.nowMs)
      .map(([k, { value }]): [string, string] => [shown(k), shown(value)]);
  }

  delete(k: MapKey): boolean {
    const isLive = this.live(k) !== undefined;
    this.map.delete(plainKey(k));
    return isLive;
  }
}

function shown(value: unknown): string {
  return typeof value === 'number' ? `number:${value === 0 ? 0 : value}` : JSON.stringify(value);
}

function run(map: QuireMap<MapKey, unknown>, model: Model, c: Command): void {
  switch (c.op) {
    case 'set':
      assert.equal(map.set(c.key, c.value, c.ttlMs === undefined ? undefined : { ttlMs: c.ttlMs }), map);
      model.map.set(plainKey(c.key), {
        value: JSON.parse(JSON.stringify(c.value)),
        until: c.ttlMs === undefined ? Number.POSITIVE_INFINITY : Math.ceil(model.nowMs + c.ttlMs),
      });
      return;
    case 'get':
      assert.deepEqual(map.get(c.key), model.live(c.key)?.value);
      return;
    case 'has':
      assert.equal(map.has(c.key), model.live(c.key) !== undefined);
      return;
    case 'delete':
      assert.equal(map.delete(c.key), model.delete(c.key));
      return;
    case 'ttl': {
      const entry = model.live(c.key);
      assert.equal(map.ttl(c.key), entry === undefined ? undefined : entry.until - model.nowMs);
      return;
    }
    case 'touch': {
      const entry = model.live(c.key);
      assert.equal(map.touch(c.key, c.ttlMs), entry !== undefined);
      if (entry !== undefined) model.map.set(plainKey(c.key), { value: entry.value, until: model.nowMs + c.ttlMs });
      return;
    }
    case 'hasMany':
      assert.deepEqual(
        map.hasMany(c.keys),
        c.keys.map((k) => model.live(k) !== undefined),
      );
      return;
    case 'deleteMany':
      assert.equal(map.deleteMany(c.keys), c.keys.filter((k) => model.delete(k)).length);
      return;
    case 'tick':
      model.nowMs += c.ms;
      return;
    default:
      runWhole(map, model, c.op);
  }
}

function runWhole(map: QuireMap<MapKey, unknown>, model: Model, op: string): void {
  const expected = model.liveEntries().sort();
  if (op === 'clear') {
    map.clear();
    model.map.clear();
    assert.equal(map.size, 0);
  } else if (op === 'reap') {
    map.reap(1000);
  } else if (op === 'keys') {
    assert.deepEqual([...map.keys()].map((k) => shown(plainKey(k))).sort(), expected.map(([k]) => k).sort());
  } else if (op === 'values') {
    assert.deepEqual([...map.values()].map(shown).sort(), expected.map(([, v]) => v).sort());
  } else if (op === 'forEach') {
    const seen: [string, string][] = [];
    map.forEach((value, k, self) => {
      assert.equal(self, map);
      seen.push([shown(plainKey(k)), shown(value)]);
    });
    assert.deepEqual(seen.sort(), expected);
  } else {
    assert.deepEqual([...map].map(([k, v]): [string, string] => [shown(plainKey(k)), shown(v)]).sort(), expected);
  }
}

describe('QuireMap against a plain Map', () => {
  test('any sequence of operations on mixed keys and JSON values', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
        const model = new Model();
        const { map, plain } = createPlainQuireMap(500, { value: 'json', now: () => model.nowMs });
        for (const c of commands) run(map, model, c);
        assert.deepEqual(
          [...map].map(([k, v]): [string, string] => [shown(plainKey(k)), shown(v)]).sort(),
          model.liveEntries().sort(),
        );
        assert.equal(plain.map.findFault(), undefined);
        map.reap();
        assert.equal(map.size, model.liveEntries().length);
        assert.equal(plain.faults.pinned, 0);
      }),
      { numRuns: 400 },
    );
  });
});

describe('values', () => {
  test('bytes: what get returns is a copy, what set took may change', () => {
    const { map } = createPlainQuireMap<string, Uint8Array>(500);
    const value = Uint8Array.of(1, 2, 3);
    map.set('a', value);
    value[0] = 9;
    const first = map.get('a');
    assert.deepEqual(first, Uint8Array.of(1, 2, 3));
    if (first !== undefined) first[1] = 9;
    assert.deepEqual(map.get('a'), Uint8Array.of(1, 2, 3));
    map.set('empty', new Uint8Array(0));
    assert.deepEqual(map.get('empty'), new Uint8Array(0));
    assert.equal(map.get('missing'), undefined);
  });

  test('a Buffer is as good as a Uint8Array, a view of a larger buffer too', () => {
    const { map } = createPlainQuireMap<string | Uint8Array, Uint8Array>(500);
    map.set(Buffer.from('key'), Buffer.from('value'));
    assert.deepEqual(map.get(new TextEncoder().encode('key')), new TextEncoder().encode('value'));
    map.set('view', new Uint8Array(100).subarray(3, 8));
    assert.equal(map.get('view')?.length, 5);
  });

  test('utf8 and a codec of one’s own', () => {
    const { map } = createPlainQuireMap<number, string>(500, { value: 'utf8' });
    map.set(1, 'grüße 🎈');
    assert.equal(map.get(1), 'grüße 🎈');
    const codec = {
      encode: (value: Date) => new Uint8Array(new Float64Array([value.getTime()]).buffer),
      decode: (bytes: Uint8Array) => new Date(new Float64Array(bytes.slice().buffer)[0]),
    };
    const dates = createPlainQuireMap<string, Date>(500, { value: codec }).map;
    dates.set('d', new Date(77));
    assert.deepEqual(dates.get('d'), new Date(77));
  });

  test('a codec may use the map while it encodes', () => {
    const box: { map?: QuireMap<string, string> } = {};
    const codec = {
      encode: (value: string) => {
        box.map?.has('another key');
        return new TextEncoder().encode(value);
      },
      decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
    };
    const { map } = createPlainQuireMap<string, string>(500, { value: codec });
    box.map = map;
    map.set('key', 'value');
    assert.equal(map.get('key'), 'value');
    assert.equal(map.size, 1);
  });
});

describe('iteration while the map changes', () => {
  test('deleting and setting inside a loop', () => {
    const { map } = createPlainQuireMap<number, number>(5000, { value: 'json' });
    for (let index = 0; index < 2000; index++) map.set(index, index);
    const seen = new Set<number>();
    for (const [k, v] of map) {
      assert.equal(k % 1_000_000, v);
      if (k < 1_000_000) {
        assert.equal(seen.has(k), false);
        seen.add(k);
        map.set(k + 1_000_000, k);
        map.delete(k);
      }
    }
    assert.equal(seen.size, 2000);
    assert.equal(map.size, 2000);
    assert.equal(map.isValid(), true);
  });

  test('two iterators and clear', () => {
    const { map } = createPlainQuireMap<number, number>(5000, { value: 'json' });
    for (let index = 0; index < 500; index++) map.set(index, index);
    const one = map.keys();
    const two = map.values();
    one.next();
    two.next();
    map.clear();
    assert.ok([...one].length <= 10, 'the rest of a bucket at most');
    assert.ok([...two].length <= 10);
    assert.deepEqual([...map.entries()], []);
  });
});

describe('life', () => {
  test('ttlMs of the map, of a set, and none', () => {
    let nowMs = 0;
    const { map } = createPlainQuireMap<string, string>(500, { value: 'utf8', ttlMs: 100, now: () => nowMs });
    map.set('a', '1');
    map.set('b', '1', { ttlMs: 1000 });
    map.set('c', '1', { ttlMs: Number.POSITIVE_INFINITY });
    assert.equal(map.ttl('a'), 100);
    assert.equal(map.ttl('c'), Number.POSITIVE_INFINITY);
    assert.equal(map.ttl('x'), undefined);
    nowMs = 100;
    assert.equal(map.has('a'), false);
    assert.equal(map.ttl('b'), 900);
    nowMs = 5000;
    assert.deepEqual([...map.keys()], ['c']);
    assert.equal(map.isValid(), true);
  });

  test('dispose hears value, key and reason', () => {
    const heard: string[] = [];
    let nowMs = 0;
    const { map } = createPlainQuireMap<string | number, string>(2000, {
      value: 'utf8',
      maxBytes: 50_000,
      now: () => nowMs,
      dispose: (value, k, reason) => heard.push(`${typeof k} ${k}=${value.slice(0, 3)} ${reason}`),
    });
    map.set('a', 'one').set('a', 'two');
    map.delete('a');
    map.set(7, 'six', { ttlMs: 5 });
    nowMs = 6;
    map.get(7);
    assert.deepEqual(heard, ['string a=one set', 'string a=two delete', 'number 7=six expire']);
    for (let index = 0; index < 200; index++) map.set(index, 'x'.repeat(400));
    assert.ok(heard.some((line) => line.endsWith('=xxx evict')));
    assert.ok(map.bytes <= 50_000);
    heard.length = 0;
    const { size } = map;
    map.clear();
    assert.equal(heard.length, size);
    assert.equal(map.isValid(), true);
  });

  test('async twins', async () => {
    const asked: string[] = [];
    const { map } = createPlainQuireMap<string, string>(500, {
      value: 'utf8',
      prefetch: async (bytes) => void asked.push(Buffer.from(bytes).subarray(1).toString()),
    });
    assert.equal(await map.setAsync('a', 'x'), map);
    const [a, b] = await Promise.all([map.getAsync('a'), map.getAsync('b')]);
    assert.equal(a, 'x');
    assert.equal(b, undefined);
    assert.deepEqual(asked, ['a', 'a', 'b']);
    const plain = createPlainQuireMap<string, string>(500, { value: 'utf8' }).map;
    await plain.setAsync('k', 'v');
    assert.equal(await plain.getAsync('k'), 'v');
  });

  test('after close every call says so, closing again does nothing', async () => {
    let closes = 0;
    const map = QuireMap.open<string, Uint8Array>(
      (options) => createPlainMap(500, options).map,
      { name: 'gone' },
      () => closes++,
    );
    map.set('a', Uint8Array.of(1));
    const loop = map.entries();
    map.close();
    map.close();
    map[Symbol.dispose]();
    assert.equal(closes, 1);
    const calls: (() => unknown)[] = [
      () => map.get('a'),
      () => map.set('a', Uint8Array.of(1)),
      () => map.has('a'),
      () => map.delete('a'),
      () => map.clear(),
      () => map.size,
      () => map.bytes,
      () => map.ttl('a'),
      () => map.touch('a', 5),
      () => map.deleteMany(['a']),
      () => map.hasMany(['a']),
      () => map.reap(),
      () => [...map],
      () => [...map.keys()],
      () => [...map.values()],
      () => map.forEach(() => {}),
      () => map.isValid(),
      () => loop.next(),
    ];
    for (const call of calls) assert.throws(call, { code: 'ERR_QUIRE_CLOSED' }, String(call));
    await assert.rejects(map.getAsync('a'), { code: 'ERR_QUIRE_CLOSED' });
    await assert.rejects(map.setAsync('a', Uint8Array.of(1)), { code: 'ERR_QUIRE_CLOSED' });
  });
});

describe('bad arguments', () => {
  const { map } = createPlainQuireMap<string, Uint8Array>(500);
  const bad = map as unknown as QuireMap<never, never> & Record<string, (...args: unknown[]) => unknown>;
  const value = Uint8Array.of(1);
  const cases: [string, () => unknown, string][] = [
    ['get undefined', () => bad.get(undefined as never), 'ERR_QUIRE_INVALID_ARG'],
    ['get object', () => bad.get({} as never), 'ERR_QUIRE_INVALID_ARG'],
    ['has null', () => bad.has(null as never), 'ERR_QUIRE_INVALID_ARG'],
    ['delete symbol', () => bad.delete(Symbol('k') as never), 'ERR_QUIRE_INVALID_ARG'],
    ['set value of the wrong type', () => bad.set('a' as never, 'text' as never), 'ERR_QUIRE_INVALID_ARG'],
    ['set value undefined', () => bad.set('a' as never, undefined as never), 'ERR_QUIRE_INVALID_ARG'],
    ['set key too long', () => map.set('x'.repeat(70_000), value), 'ERR_QUIRE_RANGE'],
    ['set value too long', () => map.set('x', new Uint8Array(64 * 2 ** 20 + 1)), 'ERR_QUIRE_RANGE'],
    ['set options', () => map.set('x', value, 5 as never), 'ERR_QUIRE_INVALID_ARG'],
    ['set ttl text', () => map.set('x', value, { ttlMs: '5' as never }), 'ERR_QUIRE_INVALID_ARG'],
    ['set ttl NaN', () => map.set('x', value, { ttlMs: Number.NaN }), 'ERR_QUIRE_INVALID_ARG'],
    ['set ttl 0', () => map.set('x', value, { ttlMs: 0 }), 'ERR_QUIRE_RANGE'],
    ['set ttl negative', () => map.set('x', value, { ttlMs: -5 }), 'ERR_QUIRE_RANGE'],
    ['set ttl too long', () => map.set('x', value, { ttlMs: 2 ** 48 }), 'ERR_QUIRE_RANGE'],
    ['touch ttl', () => map.touch('x', Number.NaN), 'ERR_QUIRE_INVALID_ARG'],
    ['hasMany of a number', () => map.hasMany(5 as never), 'ERR_QUIRE_INVALID_ARG'],
    ['deleteMany of nothing', () => map.deleteMany(undefined as never), 'ERR_QUIRE_INVALID_ARG'],
    ['forEach without a function', () => map.forEach(5 as never), 'ERR_QUIRE_INVALID_ARG'],
    ['reap text', () => map.reap('x' as never), 'ERR_QUIRE_INVALID_ARG'],
  ];
  for (const [name, call, code] of cases) {
    test(name, () => {
      assert.throws(call, { code });
      assert.equal(map.size, 0);
      assert.equal(map.isValid(), true);
    });
  }

  test('options', () => {
    const open = (options: unknown) => createPlainQuireMap(100, options as QuireMapOptions<MapKey, unknown>);
    for (const options of [
      null,
      5,
      { name: 5 },
      { value: 'xml' },
      { value: {} },
      { ttlMs: 'x' },
      { maxBytes: '4GiB' },
      { maxBytes: -1 },
      { maxBytes: Number.NaN },
      { dispose: 5 },
      { prefetch: 5 },
    ]) {
      assert.throws(() => open(options), { code: 'ERR_QUIRE_INVALID_ARG' }, JSON.stringify(options));
    }
    assert.throws(() => open({ ttlMs: -1 }), { code: 'ERR_QUIRE_RANGE' });
  });
});
