import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

function run(program: string, ...args: string[]) {
  const path = fileURLToPath(new URL(`../${program}/main.js`, import.meta.url));
  return spawnSync(process.execPath, [path, ...args], { encoding: 'utf8' });
}

describe('the command lines of the drivers', () => {
  for (const [program, number] of [
    ['simulator', '--steps'],
    ['stress', '--seconds'],
    ['fsx', '--ops'],
    ['crash', '--kills'],
  ]) {
    it(`of ${program}: says what is wrong, and how it is used`, () => {
      const help = run(program, '--help');
      assert.equal(help.status, 0);
      assert.match(help.stdout, new RegExp(`^usage: .*\\[${number} `));
      for (const args of [['--nope'], [number, 'many'], [number]]) {
        const { status, stdout, stderr } = run(program, ...args);
        assert.equal(status, 1, args.join(' '));
        assert.equal(stdout, '');
        assert.match(stderr, /\nusage: /);
        assert.doesNotMatch(stderr, /\n +at /, 'no stack');
      }
    });
  }
});
