import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Request } from './request.ts';

describe('Request', () => {
  it('compares words in any case', () => {
    const request = Request.of('get', 'KeepTTL', 'EX', 'E');
    assert.ok(request.is(0, 'GET') && request.is(1, 'KEEPTTL') && request.is(2, 'EX'));
    assert.ok(!request.is(3, 'EX') && !request.is(2, 'E') && !request.is(0, 'SET'));
  });

  it('does not take other bytes for letters', () => {
    assert.ok(!Request.of('\x07ET').is(0, 'GET'));
    assert.ok(!Request.of('{').is(0, '['));
  });

  it('clones into bytes of its own', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 9 }), { minLength: 1 }), (words) => {
        const request = Request.of(...words);
        const copy = request.clone();
        request.source.fill(1);
        assert.deepEqual(
          words.map((_, i) => Buffer.from(copy.arg(i))),
          words.map((bytes) => Buffer.from(bytes)),
        );
        const tail = copy.tail(1);
        assert.equal(tail.count, words.length - 1);
        if (words.length > 1) assert.deepEqual(Buffer.from(tail.arg(0)), Buffer.from(words[1]));
      }),
    );
  });

  it('keeps long arguments beside the others', () => {
    const request = new Request();
    request.begin(Buffer.from('SETk'), 0);
    request.push(0, 3);
    request.push(3, 1);
    request.pushBig(Uint8Array.from([1, 2, 3]));
    assert.equal(request.count, 3);
    assert.deepEqual([...request.arg(2)], [1, 2, 3]);
    assert.deepEqual([...request.clone().arg(2)], [1, 2, 3]);
    assert.equal(request.byteLength, 7);
    request.begin(Buffer.from('abc'), 0);
    request.push(0, 1);
    request.push(1, 1);
    request.push(2, 1);
    assert.equal(request.text(2), 'c');
  });

  it('reads integers, and saturates where asked to', () => {
    const request = Request.of('9223372036854775807', '-9223372036854775808', '12', 'x', '9223372036854775808');
    assert.equal(request.int64(0), 9223372036854775807n);
    assert.equal(request.integer(0), Number.MAX_SAFE_INTEGER);
    assert.equal(request.integer(1), Number.MIN_SAFE_INTEGER);
    assert.equal(request.integer(2), 12);
    assert.equal(request.integer(3), undefined);
    assert.equal(request.integer(4), undefined);
  });
});
