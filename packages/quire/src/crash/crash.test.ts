import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createFiles, type RoundOptions, runRound } from './rounds.ts';

/** Rounds until one fails, at most `rounds`. */
async function runRounds(rounds: number, lie?: RoundOptions['lie']): Promise<{ failures: string[]; syncs: number }> {
  const seed = randomInt(2 ** 31);
  const directory = mkdtempSync(join(tmpdir(), 'quire-crash-test-'));
  let syncs = 0;
  try {
    createFiles(directory);
    for (let round = 1; round <= rounds; round++) {
      const result = await runRound({ directory, seed, round, ...(lie === undefined ? {} : { lie }) });
      syncs += result.syncs;
      if (result.failures.length > 0)
        return { failures: result.failures.map((text) => `seed ${seed}: ${text}`), syncs };
    }
    return { failures: [], syncs };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('killed eight times, every acknowledged byte is there', async () => {
  const { failures, syncs } = await runRounds(8);
  assert.deepEqual(failures, []);
  assert.ok(syncs >= 8, `${syncs} syncs were acknowledged`);
});

test('a writer that acknowledges without a sync is found out', async () => {
  const { failures } = await runRounds(12, 'no-sync');
  assert.match(failures.join(), /expected/);
});

test('a writer that writes wrong bytes is found out', async () => {
  const { failures } = await runRounds(12, 'wrong-bytes');
  assert.match(failures.join(), /garbage|version -1/);
});
