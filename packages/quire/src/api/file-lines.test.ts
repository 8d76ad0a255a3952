/** Lines against String.split, over chunks of every size. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linesOf } from './file-lines.ts';

/** Reads from `bytes`, at most `most` at a time: what a file may do at any moment. */
function reader(bytes: Uint8Array, most: number): (target: Uint8Array, position: number) => Promise<number> {
  return (target, position) => {
    const part = bytes.subarray(position, position + Math.min(most, target.length));
    target.set(part);
    return Promise.resolve(part.length);
  };
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

function expected(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line, i) =>
    line.endsWith('\r') && (i + 1 < lines.length || text.endsWith('\n')) ? line.slice(0, -1) : line,
  );
}

test('any text, any reads', async () => {
  const piece = fc.constantFrom('a', 'é', '漢字', '😀', ' ', '\n', '\n', '\r\n', '\r', '', 'x'.repeat(300));
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 60 }), fc.integer({ min: 1, max: 700 }), async (pieces, most) => {
      const text = pieces.join('');
      assert.deepEqual(
        await collect(linesOf(reader(Buffer.from(text), most), 0, Number.POSITIVE_INFINITY)),
        expected(text),
      );
    }),
  );
});

test('lines longer than a read and than the buffer', async () => {
  const text = `short\n${'long '.repeat(60_000)}\r\n\n${'b'.repeat(65_535)}\n${'c'.repeat(65_536)}`;
  for (const most of [1000, 65_536, 1_000_000]) {
    assert.deepEqual(
      await collect(linesOf(reader(Buffer.from(text), most), 0, Number.POSITIVE_INFINITY)),
      expected(text),
    );
  }
});

test('a part of a file', async () => {
  const bytes = Buffer.from('one\ntwo\nthree\nfour');
  const part = (start: number, end: number): Promise<string[]> => collect(linesOf(reader(bytes, 5), start, end));
  assert.deepEqual(await part(4, 13), ['two', 'three']);
  assert.deepEqual(await part(5, 10), ['wo', 'th']);
  assert.deepEqual(await part(0, 4), ['one']);
  assert.deepEqual(await part(3, 3), []);
  assert.deepEqual(await part(99, 200), []);
});
