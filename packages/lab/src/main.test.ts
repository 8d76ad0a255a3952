import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { builtFile } from './paths.ts';
import { benchmarks } from './registry.ts';

function lab(...args: string[]) {
  return spawnSync(process.execPath, [builtFile('main.js'), ...args], { encoding: 'utf8' });
}

describe('the lab command', () => {
  it('lists its benchmarks', () => {
    const { status, stdout } = lab('--help');
    assert.equal(status, 0);
    for (const { name, summary } of benchmarks) assert.ok(stdout.includes(name) && stdout.includes(summary));
  });

  it('answers a wrong line with one line and status 1', () => {
    for (const args of [[], ['nothing'], ['swap', '--slow'], ['swap', '--out']]) {
      const { status, stdout, stderr } = lab(...args);
      assert.equal(status, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^lab: .+\n$/);
    }
  });

  it('has a different name for each benchmark, fit for a command line', () => {
    const names = benchmarks.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.match(name, /^[a-z0-9]+$/);
  });
});
