/** The recorded workloads have in them what they are there for, and are the same every time. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Corpus } from '../corpus.ts';
import { BORN, type EventKind, FREED, footprintOf, kindOf, pageOf, READ, REPLACE, type Trace, WRITE } from './trace.ts';
import { type WorkloadSizes, workloads } from './workloads.ts';

const SIZES: WorkloadSizes = { pages: 512, mapKeys: 3000, mapOps: 20_000, accountPages: 256, pgbenchEvents: 30_000 };

function countOf(trace: Trace, kind: EventKind): number {
  return trace.events.reduce((count, event) => count + (kindOf(event) === kind ? 1 : 0), 0);
}

describe('the workloads', () => {
  const corpus = new Corpus(new TextEncoder().encode('words of which a page is made '.repeat(1000)));
  const traces = new Map<string, Trace>();
  before(async () => {
    for (const workload of workloads) traces.set(workload.name, await workload.record(corpus, SIZES));
  });
  const traceOf = (name: string): Trace => traces.get(name) ?? assert.fail(name);

  it('are recorded the same a second time', async () => {
    for (const workload of workloads) {
      const again = await workload.record(corpus, SIZES);
      assert.deepEqual(again.events, traceOf(workload.name).events, workload.name);
      assert.equal(again.name, workload.name);
    }
  });

  it('use no page before it was born nor after it was freed', () => {
    for (const trace of traces.values()) {
      const hasBytes = new Uint8Array(trace.pages);
      for (const event of trace.events) {
        const page = pageOf(event);
        assert.ok(page < trace.pages);
        assert.equal(hasBytes[page], kindOf(event) === BORN ? 0 : 1, `${trace.name}, page ${page}`);
        hasBytes[page] = kindOf(event) === FREED ? 0 : 1;
      }
      assert.ok(footprintOf(trace) > 100, `${trace.name} is large enough to say something`);
    }
  });

  it('of swap read as many times as the benchmark does', () => {
    assert.equal(countOf(traceOf('swap'), BORN), 512);
    assert.equal(countOf(traceOf('swap'), READ), 512 / 8 + 512 + 1024);
    assert.equal(countOf(traceOf('hot'), READ), 512 * 16);
    assert.equal(countOf(traceOf('hot_scan'), READ), 5 * (1024 + 512));
    assert.equal(countOf(traceOf('usemem'), READ), 3 * 512);
  });

  it('of hot reads move on: the popular pages of the end are not those of the start', () => {
    const { events, pages } = traceOf('hot');
    const reads = events.filter((event) => kindOf(event) === READ);
    const popular = (part: Int32Array): Set<number> => {
      const counts = new Uint32Array(pages);
      for (const event of part) counts[pageOf(event)] += 1;
      const order = [...counts.keys()].sort((a, b) => counts[b] - counts[a]);
      return new Set(order.slice(0, Math.floor(pages / 5)));
    };
    const tenth = Math.floor(reads.length / 10);
    const first = popular(reads.subarray(0, tenth));
    const shared = (of: Set<number>): number => [...of].filter((page) => first.has(page)).length / first.size;
    const next = shared(popular(reads.subarray(tenth, 2 * tenth)));
    const last = shared(popular(reads.subarray(9 * tenth)));
    assert.ok(next > 0.5 && last < 0.45, `shared with the next tenth ${next}, with the last ${last}`);
  });

  it('of the map write part of pages and read far more than they write', () => {
    const trace = traceOf('map');
    assert.ok(countOf(trace, WRITE) > 1000);
    assert.ok(countOf(trace, READ) > 20_000);
    // Entries expire and are set again: more writes than one load of all keys would make pages.
    assert.ok(countOf(trace, WRITE) > countOf(trace, BORN) * 5);
  });

  it('of sessions give pages back, and take them again', () => {
    const trace = traceOf('sessions');
    const freed = countOf(trace, FREED);
    assert.ok(freed > 50, `${freed} pages freed`);
    assert.ok(countOf(trace, BORN) > footprintOf(trace) + freed / 2, 'pages were born where others had died');
  });

  it('of pgbench begin with the accounts, then read, replace, read again, and go round the WAL', () => {
    const trace = traceOf('pgbench');
    const accountPages = SIZES.accountPages * 2; // of 4 KiB
    for (let i = 0; i < accountPages; i++) assert.equal(kindOf(trace.events[i]), BORN);
    const first = [...trace.events.subarray(accountPages, accountPages + 6)];
    assert.deepEqual(first.map(kindOf), [READ, READ, REPLACE, REPLACE, READ, READ]);
    assert.deepEqual(new Set(first.map(pageOf)).size, 2);
    const wal = trace.events.filter((event) => pageOf(event) >= accountPages && kindOf(event) === REPLACE);
    assert.ok(wal.length > 100, 'WAL pages are written again');
    assert.ok(trace.events.length >= SIZES.pgbenchEvents);
  });
});
