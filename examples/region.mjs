/**
 * A matrix of features larger than the budget: 100,000 rows of 128 floats, 49 MiB, in 24 MiB. Rows are written once, then read at random.
 *
 *   node examples/region.mjs
 */
import assert from 'node:assert/strict';
import { formatBytes, Quire } from 'quire';

const ROWS = 100_000;
const COLUMNS = 128;
const ROW_BYTES = COLUMNS * Float32Array.BYTES_PER_ELEMENT;

/** Mostly zeros, as feature rows are; a few values that depend on the row. */
function featuresOf(row, into) {
  into.fill(0);
  for (let k = 0; k < 8; k++) into[(row * 7 + k * 13) % COLUMNS] += (row % 1000) + k;
}

const quire = await Quire.open({ budget: '24MiB' });
const matrix = quire.region({ name: 'features', size: ROWS * ROW_BYTES });

const row = new Float32Array(COLUMNS);
const rowBytes = new Uint8Array(row.buffer);
for (let r = 0; r < ROWS; r++) {
  featuresOf(r, row);
  matrix.write(r * ROW_BYTES, rowBytes);
}

const expected = new Float32Array(COLUMNS);
let seed = 1;
for (let n = 0; n < 20_000; n++) {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  const r = seed % ROWS;
  matrix.read(r * ROW_BYTES, rowBytes);
  featuresOf(r, expected);
  assert.deepEqual(row, expected, `row ${r}`);
}

// A zero-copy view of the first 8 rows (one page). While the pin is held the page stays where it is.
const pin = matrix.pin(0, 8 * ROW_BYTES);
const rows = new Float32Array(pin.bytes.buffer, pin.bytes.byteOffset, 8 * COLUMNS);
for (let i = 0; i < rows.length; i++) rows[i] *= 2;
pin.release();
matrix.read(3 * ROW_BYTES, rowBytes);
featuresOf(3, expected);
assert.deepEqual(
  row,
  expected.map((value) => value * 2),
);

// Rows nobody needs any more read as zeros and take nothing.
matrix.discard(0, (ROWS / 2) * ROW_BYTES);
matrix.read(0, rowBytes);
assert.ok(row.every((value) => value === 0));

const stats = quire.stats();
console.log(`${ROWS} rows, ${formatBytes(ROWS * ROW_BYTES)}, in a budget of ${formatBytes(stats.budget_bytes)}`);
console.log(`20000 random rows read back right, ${stats.transient_reads} of them without taking a page in`);
assert.ok(stats.used_bytes <= stats.budget_bytes);

matrix.close();
await quire.close();
