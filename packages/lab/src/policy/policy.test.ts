import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { policy } from './policy.ts';
import { TraceRecorder } from './trace.ts';
import { writeTrace } from './trace-file.ts';

function recordedScan(rounds: number, pages: number): TraceRecorder {
  const recorder = new TraceRecorder();
  for (let round = 0; round <= rounds; round++) {
    for (let page = 0; page < pages; page++) round === 0 ? recorder.write(page, true) : recorder.read(page);
  }
  return recorder;
}

describe('lab policy --trace', () => {
  it('replays that trace and no other, also one where OPT misses nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quire-policy-'));
    try {
      for (const [name, rounds] of [
        ['scan', 3],
        ['births', 0],
      ] as const) {
        const path = join(folder, `${name}.trace`);
        writeTrace(path, recordedScan(rounds, 200).trace(name));
        const progress: string[] = [];
        const outcome = await policy.run({
          quick: true,
          hasTime: () => true,
          progress: (line) => progress.push(line),
          trace: path,
        });
        assert.deepEqual(progress, [`${name}: ${200 * (rounds + 1)} events over 200 pages replayed`]);
        const text = JSON.stringify(outcome);
        assert.ok(text.includes(name) && !/NaN|Infinity|undefined|null/.test(text), text.slice(0, 400));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
