import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { runStress } from './stress.ts';
import { describeValue, Values, versionOf } from './values.ts';

const COUNTED = [
  'cell_reads',
  'cell_writes',
  'cell_pins',
  'cell_clones',
  'key_reads',
  'key_writes',
  'iterations',
  'file_reads',
  'file_writes',
  'file_pins',
  'swapons',
  'swapoffs',
];

for (const compaction of ['direct', 'stocked'] as const) {
  test(`four attached workers and daemons at a quarter of the memory, compaction ${compaction}: every value is right, and all comes back`, async () => {
    const seed = randomInt(2 ** 31);
    const options = { seconds: 3, seed, budgetBytes: 16 * MIB, workers: 4, compaction };
    const { failures, counts, stats } = await runStress(options);
    assert.deepEqual(failures, [], `seed ${seed}`);
    for (const name of COUNTED) assert.ok(counts[name] > 0, `seed ${seed}: ${name} is 0`);
    // The load alone is four times the budget: it must have gone out, and part of it to the file.
    assert.ok(stats.pswpout > 0 && stats.zswpwb > 0 && stats.nr_written > 0, `seed ${seed}`);
    assert.ok(stats.pgmigrate_success > 0, `seed ${seed}: nothing was moved`);
  });
}

test('values say what they are, and no two are alike', () => {
  const values = new Values(3);
  const others = new Values(3);
  const seen = new Set<string>();
  for (let id = 0; id < 40; id++) {
    for (let version = 1; version < 6; version++) {
      const bytes = values.make(id, version, values.lengthOf(id, version));
      assert.equal(versionOf(bytes), version);
      assert.match(describeValue(bytes), new RegExp(`id ${id}, version ${version}, `));
      assert.deepEqual(others.make(id, version, bytes.length), bytes);
      seen.add(Buffer.from(bytes).toString('latin1'));
    }
  }
  assert.equal(seen.size, 200);
});
