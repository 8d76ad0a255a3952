/** Pressure of a real instance: stalls are counted, the event comes, wrong triggers are refused. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { MIB } from '../base/units.ts';
import type { PressureEvent } from './pressure-watch.ts';
import { Quire, type QuireHandle } from './quire.ts';

const BUDGET = 12 * MIB;

/** Writes incompressible bytes, more than fit: the writer has to reclaim for itself. */
function press(quire: Quire, rounds: number): void {
  using region = quire.region({ size: 64 * MIB });
  const bytes = new Uint8Array(64 * 1024);
  let word = 12345;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < bytes.length; i++) {
      word = (Math.imul(word, 1103515245) + 12345) | 0;
      bytes[i] = word >>> 16;
    }
    region.write((round * bytes.length) % region.size, bytes);
  }
}

function open(pressure?: PressureEvent[] | unknown): Promise<Quire> {
  return Quire.open({
    budget: BUDGET,
    threads: 0,
    swap: [{ tier: 'compressed' }, { tier: 'file', size: 128 * MIB }],
    ...(pressure === undefined ? {} : { pressure: pressure as [] }),
  });
}

describe('pressure', () => {
  it('is counted while a thread reclaims for itself', async () => {
    await using quire = await open();
    assert.equal(quire.stats().pressure.some.totalUs, 0);
    press(quire, 512);
    const { some, full } = quire.stats().pressure;
    assert.ok(some.totalUs > 0, 'stalled');
    assert.equal(full.totalUs, some.totalUs, 'the only thread is all threads');
  });

  it('of one thread of two is some, not full', async () => {
    await using quire = await open();
    const other = Quire.attach(quire.handle as QuireHandle);
    press(quire, 512);
    const { some, full } = other.stats().pressure;
    assert.ok(some.totalUs > 0);
    assert.equal(full.totalUs, 0);
    await other.close();
  });

  it('is told to who listens, once a window', async () => {
    await using quire = await open([{ kind: 'some', stallMs: 1, windowMs: 500 }]);
    const events: PressureEvent[] = [];
    const told = once(quire, 'pressure');
    quire.on('pressure', (event) => events.push(event));
    const keepAlive = setInterval(() => press(quire, 320), 20);
    const [event] = (await told) as [PressureEvent];
    clearInterval(keepAlive);
    assert.equal(event.kind, 'some');
    assert.ok(event.stalledMs >= 1 && event.pressure.some.totalUs >= 1000);
    assert.equal(events.length, 1);
    quire.removeAllListeners('pressure');
  });

  it('refuses triggers that make no sense', async () => {
    for (const [pressure, code] of [
      ['some', 'ERR_QUIRE_INVALID_ARG'],
      [[{ kind: 'most', stallMs: 1, windowMs: 500 }], 'ERR_QUIRE_INVALID_ARG'],
      [[null], 'ERR_QUIRE_INVALID_ARG'],
      [[{ kind: 'some', stallMs: 1, windowMs: 499 }], 'ERR_QUIRE_RANGE'],
      [[{ kind: 'some', stallMs: 1, windowMs: 20_000 }], 'ERR_QUIRE_RANGE'],
      [[{ kind: 'full', stallMs: 0, windowMs: 500 }], 'ERR_QUIRE_RANGE'],
      [[{ kind: 'full', stallMs: 501, windowMs: 500 }], 'ERR_QUIRE_RANGE'],
      [[{ kind: 'full', windowMs: 500 }], 'ERR_QUIRE_INVALID_ARG'],
      [[{ kind: 'full', stallMs: 1, windowMs: '500' }], 'ERR_QUIRE_INVALID_ARG'],
    ] as const) {
      await assert.rejects(open(pressure), { code });
    }
  });
});
