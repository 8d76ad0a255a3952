import assert from 'node:assert/strict';
import { keyOf, patternBytes } from './testing/model-map.ts';
import { createPlainMap } from './testing/plain-map.ts';

/**
 * Rates of PageMap over plain page spaces: the map's own cost, without faults and tiers. Best and median of 7 rounds,
 * µs per operation.
 */
const ROUNDS = 7;

function time(count: number, operation: (index: number) => void): string {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let index = 0; index < count; index++) operation(index);
    times.push(((performance.now() - start) * 1000) / count);
  }
  times.sort((a, b) => a - b);
  return `${times[0].toFixed(3)} (median ${times[ROUNDS >> 1].toFixed(3)})`;
}

function bench(entries: number, valueBytes: number): void {
  const plain = createPlainMap(Math.ceil((entries * (valueBytes + 200)) / 4096) + 2000);
  const { map } = plain;
  const keys = Array.from({ length: entries }, (_, index) => keyOf(`key:${index}`));
  const order = Int32Array.from({ length: 200_000 }, (_, index) => (index * 7919) % entries);
  const value = patternBytes(valueBytes, 1);
  const target = new Uint8Array(valueBytes);
  const start = performance.now();
  for (const key of keys) map.set(key, value, 0);
  const insertUs = (((performance.now() - start) * 1000) / entries).toFixed(3);
  for (const key of keys) {
    assert.equal(map.getInto(key, target, 0), valueBytes);
    assert.equal(Buffer.compare(target, value), 0);
  }
  const overheadBytes = (plain.framesUsed() * 4096) / entries - valueBytes - keys[entries - 1].length;
  console.log(
    `${entries} entries of ${valueBytes} bytes: ${overheadBytes.toFixed(1)} bytes over key and value, insert ${insertUs} µs`,
  );
  console.log(`  getInto    ${time(order.length, (index) => map.getInto(keys[order[index]], target, 0))}`);
  console.log(`  get        ${time(order.length, (index) => map.get(keys[order[index]]))}`);
  console.log(`  has        ${time(order.length, (index) => map.has(keys[order[index]]))}`);
  console.log(`  overwrite  ${time(order.length, (index) => map.set(keys[order[index]], value, 0))}`);
  const fresh = keyOf('a fresh key');
  console.log(`  add+delete ${time(order.length, () => map.set(fresh, value, 0) && map.delete(fresh))}`);
}

bench(1000, 1024);
bench(1000, 100);
bench(20_000, 1024);
bench(500_000, 100);
