import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ColumnAbsent, WrongAnswer } from './benchmark.ts';
import { ChildEnded, startNodeChild } from './child.ts';
import { builtFile } from './paths.ts';

const folder = mkdtempSync(join(tmpdir(), 'quire-lab-test-'));
after(() => rmSync(folder, { recursive: true }));
const imports = ['child.js', 'benchmark.js'].map((name) => pathToFileURL(builtFile(name)).href);
const main = join(folder, 'child.mjs');
writeFileSync(
  main,
  `import { serveParent } from '${imports[0]}';
   import { ColumnAbsent, WrongAnswer } from '${imports[1]}';
   await serveParent(async (args) => {
     if (args.absent) throw new ColumnAbsent('x', 'not on this machine');
     let finished = false;
     return {
       run(line) {
         if (line === 'wrong') throw new WrongAnswer('two and two are five');
         if (line === 'crash') throw new Error('crash');
         if (line === 'die') process.kill(process.pid, 'SIGKILL');
         return { line, ...args, forced: typeof globalThis.gc };
       },
       finish: async () => { if (args.failsAtEnd) throw new Error('at the end'); },
     };
   });`,
);
const quiet = { nodeArgs: ['--expose-gc'] };

describe('a child', () => {
  it('gets its arguments, runs phases in order and ends', async () => {
    const child = startNodeChild(main, { value: 7 }, quiet);
    await child.ready('x');
    for (const line of ['one', 'two 3']) {
      assert.deepEqual(await child.phase(line), { line, value: 7, forced: 'function' });
    }
    await child.end();
  });

  it('says why its column is absent', async () => {
    const child = startNodeChild(main, { absent: true }, quiet);
    await assert.rejects(child.ready('x'), (error) => {
      assert.ok(error instanceof ColumnAbsent);
      assert.equal(error.column, 'x');
      assert.match(error.message, /not on this machine/);
      return true;
    });
    await child.end();
  });

  for (const [line, kind] of [
    ['wrong', WrongAnswer],
    ['crash', ChildEnded],
    ['die', ChildEnded],
  ] as const) {
    it(`fails as ${kind.name} on ${line}`, async () => {
      const child = startNodeChild(main, {}, quiet);
      await child.ready('x');
      await assert.rejects(child.phase(line), kind);
      await child.kill();
    });
  }

  it('fails at its end when its finish does', async () => {
    const child = startNodeChild(main, { failsAtEnd: true }, quiet);
    await child.ready('x');
    await assert.rejects(child.end(), ChildEnded);
  });

  it('fails clearly when it cannot be started', async () => {
    const child = startNodeChild(join(folder, 'missing.mjs'), {}, quiet);
    await assert.rejects(child.ready('x'), ChildEnded);
    await child.kill();
  });
});
