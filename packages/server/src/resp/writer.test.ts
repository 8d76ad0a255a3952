import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MemoryByteMap } from '../testing/memory-byte-map.ts';
import { decodeReply, type Reply, ReplyReader } from '../testing/reply-reader.ts';
import { BLOCK_BYTES, BlockPool } from './block-pool.ts';
import { ReplyTooLarge, ReplyWriter } from './writer.ts';

function bytesOf(writer: ReplyWriter): Buffer {
  const sealed = writer.sealed.map(({ buffer, length }) => buffer.subarray(0, length));
  return Buffer.concat([...sealed, writer.currentBlock.subarray(0, writer.currentBytes)]);
}

function replies(writer: ReplyWriter): Reply[] {
  const reader = new ReplyReader();
  reader.push(bytesOf(writer));
  const all: Reply[] = [];
  for (let reply = reader.next(); reply !== undefined; reply = reader.next()) all.push(decodeReply(reply));
  assert.equal(reader.rest.length, 0);
  return all;
}

const make = () => new ReplyWriter(new BlockPool());

describe('ReplyWriter', () => {
  it('writes each type in RESP2 and RESP3', () => {
    const writer = make();
    const write = () => {
      writer.ok();
      writer.error('ERR a\r\nb');
      writer.integer(-5);
      writer.integer(9223372036854775807n);
      writer.bulkText('x');
      writer.nil();
      writer.nilArray();
      writer.array(0);
      writer.map(1);
      writer.bulkText('k');
      writer.double(1.5);
      writer.set(1);
      writer.simple('s');
      writer.verbatim('text');
    };
    write();
    assert.equal(
      bytesOf(writer).toString(),
      '+OK\r\n-ERR a  b\r\n:-5\r\n:9223372036854775807\r\n$1\r\nx\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n$1\r\nk\r\n$3\r\n1.5\r\n*1\r\n+s\r\n$4\r\ntext\r\n',
    );
    writer.reset(false);
    writer.resp = 3;
    write();
    assert.equal(
      bytesOf(writer).toString(),
      '+OK\r\n-ERR a  b\r\n:-5\r\n:9223372036854775807\r\n$1\r\nx\r\n_\r\n_\r\n*0\r\n%1\r\n$1\r\nk\r\n,1.5\r\n~1\r\n+s\r\n=8\r\ntxt:text\r\n',
    );
    assert.equal(writer.errorCount, 2);
    assert.deepEqual([...writer.errorCounts], [['ERR', 2]]);
  });

  it('carries any sequence of values across blocks', () => {
    const sizes = fc.array(
      fc.oneof(fc.nat(40), fc.nat(3000), fc.nat(140_000), fc.constantFrom(9, 10, 99, 100, 999, 1000)),
      {
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(sizes, (lengths) => {
        const map = new MemoryByteMap();
        const writer = make();
        const key = Buffer.from('k');
        const wanted: Reply[] = [];
        for (const length of lengths) {
          const value = Buffer.alloc(length, length % 251);
          map.set(key, value, 0);
          assert.ok(writer.valueOf(map, key));
          writer.integer(length);
          writer.bulk(value);
          const part = Math.floor(length / 2);
          writer.rangeOf(map, key, length - part, part);
          const text = value.toString('latin1');
          wanted.push(text, length, text, text.slice(length - part));
        }
        assert.deepEqual(replies(writer), wanted);
        assert.equal(writer.pending, bytesOf(writer).length);
      }),
      { numRuns: 60 },
    );
  });

  it('writes nothing for a key that is not there', () => {
    const writer = make();
    assert.equal(writer.valueOf(new MemoryByteMap(), Buffer.from('k')), false);
    assert.equal(writer.pending, 0);
  });

  it('takes back what was written since a mark', () => {
    const sizes = fc.array(fc.oneof(fc.nat(100), fc.nat(200_000)), { maxLength: 10 });
    fc.assert(
      fc.property(sizes, sizes, sizes, (before, undone, after) => {
        const writer = make();
        const write = (lengths: number[]) =>
          lengths.map((length) => {
            writer.bulk(Buffer.alloc(length, length % 251));
            return Buffer.alloc(length, length % 251).toString('latin1');
          });
        const wanted = write(before);
        const mark = writer.mark();
        write(undone);
        writer.rewind(mark);
        assert.equal(writer.pending, mark);
        wanted.push(...write(after));
        assert.deepEqual(replies(writer), wanted);
      }),
      { numRuns: 100 },
    );
  });

  it('cuts out what was written since a mark, to put it behind its length', () => {
    const writer = make();
    writer.ok();
    const mark = writer.mark();
    for (let i = 0; i < 20_000; i++) writer.bulkText(`key:${i}`);
    const pieces = writer.cut(mark);
    writer.array(20_000);
    for (const piece of pieces) writer.raw(piece);
    const [ok, list] = replies(writer);
    assert.equal(ok, 'OK');
    assert.equal((list as Reply[]).length, 20_000);
    assert.equal((list as Reply[])[19_999], 'key:19999');
  });

  it('refuses more than the limit, and can be taken back then', () => {
    const writer = make();
    writer.limitBytes = 4 * BLOCK_BYTES;
    const mark = writer.mark();
    const value = Buffer.alloc(BLOCK_BYTES - 100);
    assert.throws(() => {
      for (let i = 0; i < 100; i++) writer.bulk(value);
    }, ReplyTooLarge);
    assert.throws(() => writer.bulk(Buffer.alloc(10 * BLOCK_BYTES)), ReplyTooLarge);
    writer.rewind(mark);
    writer.ok();
    assert.deepEqual(replies(writer), ['OK']);
  });

  it('keeps its block after a hand-over unless the socket holds it', () => {
    const writer = make();
    writer.ok();
    const block = writer.currentBlock;
    writer.reset(false);
    assert.equal(writer.currentBlock, block);
    writer.ok();
    writer.reset(true);
    assert.notEqual(writer.currentBlock, block);
    assert.equal(writer.pending, 0);
  });

  it('cuts error texts of any length', () => {
    const writer = make();
    writer.error(`ERR ${'x'.repeat(100_000)}`);
    assert.ok(writer.pending < 2000);
  });
});
