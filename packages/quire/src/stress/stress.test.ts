import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { runStress } from './stress.ts';
import { describeValue, Values, versionOf } from './values.ts';

test('four attached workers and a daemon at a quarter of the memory: every value is right, and all comes back', async () => {
  const seed = randomInt(2 ** 31);
  const { failures, counts, stats } = await runStress({ seconds: 4, seed, budgetBytes: 16 * MIB, workers: 4 });
  assert.deepEqual(failures, [], `seed ${seed}`);
  for (const name of ['cell_reads', 'cell_writes', 'cell_pins', 'key_reads', 'key_writes', 'iterations']) {
    assert.ok(counts[name] > 0, `seed ${seed}: ${name} is 0`);
  }
  // The load alone is four times the budget: it must have gone out, and part of it to the file.
  assert.ok(stats.pswpout > 0 && stats.zswpwb > 0, `seed ${seed}`);
});

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
