import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { builtFile } from './paths.ts';

const PRELUDE = `
  import { undoAll, undoLater } from '${pathToFileURL(builtFile('undo.js')).href}';
  const step = (name) => undoLater(() => process.stdout.write(name + ' '));
`;

/** Runs a script, sends it `signal` once it prints "ready", and gives its output and status. */
async function runScript(script: string, signal?: NodeJS.Signals): Promise<{ output: string; status: number | null }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PRELUDE + script]);
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
    if (signal !== undefined && bytes.toString().includes('ready')) child.kill(signal);
  });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { output: output.trim(), status };
}

describe('undoLater', () => {
  it('runs the steps at the end, newest first, each once', async () => {
    const result = await runScript(`step('a'); step('b'); step('c'); undoAll();`);
    assert.deepEqual(result, { output: 'c b a', status: 0 });
  });

  it('gives a way to run one early, and not again', async () => {
    const result = await runScript(`step('a'); const early = step('b'); step('c'); early(); early();`);
    assert.deepEqual(result, { output: 'b c a', status: 0 });
  });

  it('runs them on an exception, the rest also when one fails', async () => {
    const script = `step('a'); undoLater(() => { throw new Error('stuck'); }); step('c'); throw new Error('boom');`;
    assert.deepEqual(await runScript(script), { output: 'c a', status: 1 });
  });

  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`runs them on ${signal} and ends with the status shells give`, async () => {
      const script = `step('a'); step('b'); setInterval(() => undefined, 1000); console.log('ready');`;
      assert.deepEqual(await runScript(script, signal), { output: 'ready\nb a', status });
    });
  }
});
