import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCsv } from './redis-benchmark.ts';

const HEAD =
  '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"';

describe('parseCsv', () => {
  it('reads the GET line by the names of its columns', () => {
    const output = `${HEAD}\n"GET","546448.12","0.595","0.080","0.575","0.863","1.047","1.783"\n`;
    assert.deepEqual(parseCsv(output), { requestsPerSecond: 546448.12, p50Ms: 0.575, p99Ms: 1.047, maxMs: 1.783 });
  });

  it('skips what the program prints around it', () => {
    const output = `WARNING: Could not fetch server CONFIG\n${HEAD}\n"GET key","10","1","1","1","1","2","3"\n\n`;
    assert.equal(parseCsv(output).p99Ms, 2);
  });

  it('refuses output without a GET line', () => {
    for (const output of ['', HEAD, '"GET","1"', 'Could not connect']) {
      assert.throws(() => parseCsv(output), /printed no GET line/);
    }
  });
});
