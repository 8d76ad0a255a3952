import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeCommand } from '../testing/reply-reader.ts';
import { BULK_BYTES_MAX, FAILED, LINE_BYTES_MAX, MORE, type ParserLimits, READY, RequestParser } from './parser.ts';

const WIDE: ParserLimits = { valueBytesMax: 64 * 1024 * 1024, requestBytesMax: 128 * 1024 * 1024 };

interface Seen {
  commands: string[][];
  error: string;
}

/** Feeds `stream` cut at `cuts`, each piece through one reused buffer that is wiped afterwards, as the server's read buffer is. */
function parse(stream: Uint8Array, cuts: readonly number[], limits = WIDE, isRestricted = false): Seen {
  const parser = new RequestParser(limits);
  parser.isRestricted = isRestricted;
  const seen: Seen = { commands: [], error: '' };
  const ends = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...ends, stream.length]) {
    const buffer = Buffer.alloc(to - from + 7, 0x2a);
    buffer.set(stream.subarray(from, to), 3);
    parser.feed(buffer, 3, 3 + to - from);
    for (;;) {
      const outcome = parser.next();
      if (outcome === MORE) break;
      if (outcome === FAILED) {
        seen.error = parser.error;
        return seen;
      }
      assert.equal(outcome, READY);
      const { request } = parser;
      const words = Array.from({ length: request.count }, (_, i) => request.text(i));
      seen.commands.push(request.isOversize ? ['<oversize>'] : words);
    }
    buffer.fill(0xee);
    from = to;
  }
  return seen;
}

function one(text: string, limits?: ParserLimits, isRestricted?: boolean): Seen {
  return parse(Buffer.from(text, 'latin1'), [], limits, isRestricted);
}

const word = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.constant(Uint8Array.from([13, 10])),
  fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => {
    const long = new Uint8Array(40_000 + bytes[0] * 300);
    for (let i = 0; i < long.length; i++) long[i] = bytes[i % bytes.length] + i;
    return long;
  }),
);
const command = fc.array(word, { minLength: 1, maxLength: 6 });
const inline = fc
  .array(fc.stringMatching(/^[a-zA-Z0-9:_-]{1,12}$/), { minLength: 1, maxLength: 5 })
  .map((words) => ({ words, bytes: Buffer.from(`${words.join(' ')}\r\n`) }));
const cuts = fc.array(fc.nat(2_000_000), { maxLength: 30 });

describe('RequestParser', () => {
  it('gives back what was sent, however the stream is cut', () => {
    const item = fc.oneof(
      { weight: 4, arbitrary: command.map((words) => ({ words: words.map(text), bytes: encodeCommand(words) })) },
      { weight: 1, arbitrary: inline },
    );
    fc.assert(
      fc.property(fc.array(item, { maxLength: 12 }), cuts, (items, at) => {
        const stream = Buffer.concat(items.map(({ bytes }) => bytes));
        assert.deepEqual(parse(stream, at), { commands: items.map(({ words }) => words), error: '' });
      }),
      { numRuns: 150 },
    );
  });

  it('sees the same in any bytes, however they are cut', () => {
    const noise = fc.oneof(
      fc.constantFrom(
        '*',
        '$',
        '\r\n',
        '\r',
        '\n',
        '1',
        '2',
        '10',
        '-1',
        '0',
        'PING',
        '"',
        "'",
        ' ',
        '*2\r\n$1\r\na\r\n',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 40 }), cuts, (parts, at) => {
        const stream = Buffer.from(parts.join(''), 'latin1');
        assert.deepEqual(parse(stream, at), parse(stream, []));
        assert.deepEqual(
          parse(
            stream,
            Array.from(stream, (_, i) => i),
          ),
          parse(stream, []),
        );
      }),
      { numRuns: 400 },
    );
  });

  it('ignores empty requests and empty lines', () => {
    assert.deepEqual(one('*0\r\n*-1\r\n\r\n\n   \r\nPING\r\n').commands, [['PING']]);
  });

  it('ends inline commands at a zero byte', () => {
    assert.deepEqual(one('ECHO a\0b c\r\nPING\r\n\0\r\nPING\r\n').commands, [['ECHO', 'a'], ['PING'], ['PING']]);
    assert.equal(one('ECHO "a\0"\r\n').error, 'Protocol error: unbalanced quotes in request');
  });

  it('takes blanks, tabs, quotes and escapes in inline commands', () => {
    assert.deepEqual(one('SET\t a   "x\\x41\\n\\"y" \'it\\\'s\'\n').commands, [['SET', 'a', 'xA\n"y', "it's"]]);
    assert.deepEqual(one('SET "" \'\'\r\n').commands, [['SET', '', '']]);
  });

  const errors: [sent: string, error: string][] = [
    ['*x\r\n', 'invalid multibulk length'],
    ['*2147483648\r\n', 'invalid multibulk length'],
    ['*99999999999999999999999\r\n', 'invalid multibulk length'],
    ['*1\r\nPING\r\n', "expected '$', got 'P'"],
    ['*1\r\n$-1\r\n', 'invalid bulk length'],
    ['*1\r\n$x\r\n', 'invalid bulk length'],
    [`*1\r\n$${BULK_BYTES_MAX + 1}\r\n`, 'invalid bulk length'],
    ['SET "a\r\n', 'unbalanced quotes in request'],
    ['SET "a"b\r\n', 'unbalanced quotes in request'],
    ["SET 'a\r\n", 'unbalanced quotes in request'],
    ['x'.repeat(LINE_BYTES_MAX + 1), 'too big inline request'],
    [`*${'1'.repeat(LINE_BYTES_MAX + 1)}`, 'too big mbulk count string'],
    [`*1\r\n$${'1'.repeat(LINE_BYTES_MAX + 1)}`, 'too big bulk count string'],
  ];
  for (const [sent, error] of errors) {
    it(`refuses ${JSON.stringify(sent.slice(0, 24))}`, () => {
      assert.deepEqual(one(`PING\r\n${sent}`), { commands: [['PING']], error: `Protocol error: ${error}` });
    });
  }

  it('waits with a line of the longest length', () => {
    assert.deepEqual(one('x'.repeat(LINE_BYTES_MAX)), { commands: [], error: '' });
  });

  it('lets a client without the password say little', () => {
    assert.equal(one('*11\r\n', WIDE, true).error, 'Protocol error: unauthenticated multibulk length');
    assert.equal(one('*1\r\n$16385\r\n', WIDE, true).error, 'Protocol error: unauthenticated bulk length');
    assert.deepEqual(one('*1\r\n$4\r\nPING\r\n', WIDE, true).commands, [['PING']]);
  });

  it('drops arguments that are too long, and goes on behind them', () => {
    const limits: ParserLimits = { valueBytesMax: 100, requestBytesMax: 10_000 };
    const stream = Buffer.concat([
      encodeCommand(['SET', 'a', 'x'.repeat(101)]),
      encodeCommand(['GET', 'a']),
      encodeCommand(['x'.repeat(70_000), 'a', 'b']),
      encodeCommand(['SET', 'a', 'x'.repeat(100)]),
    ]);
    const wanted = [['<oversize>'], ['GET', 'a'], ['<oversize>'], ['SET', 'a', 'x'.repeat(100)]];
    assert.deepEqual(parse(stream, []).commands.length, 4);
    fc.assert(
      fc.property(cuts, (at) => assert.deepEqual(parse(stream, at, limits), { commands: wanted, error: '' })),
      { numRuns: 60 },
    );
  });

  it('drops what goes beyond the bytes of one request', () => {
    const limits: ParserLimits = { valueBytesMax: 1000, requestBytesMax: 2000 };
    const many = Array.from({ length: 40 }, () => 'v');
    assert.deepEqual(parse(encodeCommand(many), [], limits).commands, [['<oversize>']]);
    assert.deepEqual(parse(encodeCommand(many.slice(0, 30)), [], limits).commands, [many.slice(0, 30)]);
  });

  it('keeps nothing of a dropped argument', () => {
    const parser = new RequestParser({ valueBytesMax: 1000, requestBytesMax: 5000 });
    parser.feed(Buffer.from(`*2\r\n$3\r\nGET\r\n$${BULK_BYTES_MAX}\r\n`), 0, 26);
    assert.equal(parser.next(), MORE);
    const chunk = Buffer.alloc(1 << 20);
    for (let i = 0; i < 100; i++) {
      parser.feed(chunk, 0, chunk.length);
      assert.equal(parser.next(), MORE);
      assert.ok(parser.heldBytes < 4096);
    }
  });

  it('gives a long argument in pieces a buffer of its own size', () => {
    const parser = new RequestParser(WIDE);
    const value = Buffer.alloc(1_000_000, 7);
    const stream = encodeCommand(['SET', 'k', value]);
    for (let at = 0; at < stream.length; at += 65_536) {
      parser.feed(stream, at, Math.min(at + 65_536, stream.length));
      const outcome = parser.next();
      assert.ok(parser.heldBytes < value.length + 70_000);
      if (outcome === READY) break;
    }
    assert.equal(parser.request.count, 3);
    assert.deepEqual(Buffer.from(parser.request.arg(2)), value);
    assert.equal(parser.heldBytes, 0);
  });

  it('hands out the bytes it has not read', () => {
    const parser = new RequestParser(WIDE);
    const stream = Buffer.from('PING\r\nECHO x\r\nGET');
    parser.feed(stream, 0, stream.length);
    assert.equal(parser.next(), READY);
    const rest = parser.takeRest();
    assert.equal(rest.toString(), 'ECHO x\r\nGET');
    assert.equal(parser.next(), MORE);
    parser.feed(rest, 0, rest.length);
    assert.equal(parser.next(), READY);
    assert.equal(parser.request.text(0), 'ECHO');
    assert.equal(parser.next(), MORE);
  });
});

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
