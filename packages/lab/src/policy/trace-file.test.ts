import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { anyTrace, traceOf } from './testing/traces.ts';
import { BORN, eventOf, FREED, READ } from './trace.ts';
import { readTrace, writeTrace } from './trace-file.ts';

describe('a trace on disk', () => {
  let folder = '';
  let path = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quire-traces-'));
    path = join(folder, 'x.trace');
  });
  after(() => rmSync(folder, { recursive: true }));

  it('is read as it was written', () => {
    fc.assert(
      fc.property(anyTrace({ pages: 20, eventsMax: 300 }), (trace) => {
        writeTrace(path, { ...trace, name: 'any' });
        assert.deepEqual(readTrace(path), { ...trace, name: 'any' });
      }),
      { numRuns: 100 },
    );
  });

  it('begins with a line that says what it is, in a word an event', () => {
    writeTrace(path, { ...traceOf('a! b! a b'), name: 'small' });
    const bytes = readFileSync(path);
    assert.ok(bytes.toString('latin1').startsWith('quire-trace 1 2 4 small\n'));
    assert.equal(bytes.length, 'quire-trace 1 2 4 small\n'.length + 16);
  });

  it('is refused when it was cut off, goes on, or is something else', () => {
    writeTrace(path, { ...traceOf('a! b! a b'), name: 'small' });
    truncateSync(path, readFileSync(path).length - 1);
    assert.throws(() => readTrace(path), /15 bytes of events, not 16/);
    appendFileSync(path, Buffer.alloc(5));
    assert.throws(() => readTrace(path), /20 bytes of events, not 16/);
    for (const text of [
      '',
      'quire-trace 2 1 0 x\n',
      'quire-trace 1 1 0 x',
      'quire-trace 1 -1 0 x\n',
      'x'.repeat(500),
    ]) {
      writeFileSync(path, text);
      assert.throws(() => readTrace(path), /is no trace/, text);
    }
    assert.throws(() => readTrace(join(folder, 'none')), { code: 'ENOENT' });
  });

  it('is refused when its events cannot have happened', () => {
    const cases: [number[], number][] = [
      [[eventOf(0, READ)], 0],
      [[eventOf(0, BORN), eventOf(0, BORN)], 1],
      [[eventOf(0, BORN), eventOf(0, FREED), eventOf(0, READ)], 2],
      [[eventOf(0, BORN), eventOf(3, BORN)], 1],
      [[eventOf(0, BORN), 7], 1],
      [[-1], 0],
    ];
    for (const [events, wrong] of cases) {
      writeTrace(path, { name: 'odd', pages: 2, events: Int32Array.from(events) });
      assert.throws(() => readTrace(path), new RegExp(`event ${wrong} cannot happen`), `${events}`);
    }
  });
});
