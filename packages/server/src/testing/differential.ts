/**
 * `npm run -s differential -w packages/server [-- --seed N --scripts N --lines N --quire]`: the written scripts and fresh random ones
 * against an installed redis-server and against this server (on in-heap maps, or on Quire with --quire), reply by reply. Exits with 1
 * when a script differs.
 */
import { parseArgs } from 'node:util';
import { QuireStore } from '../quire-store.ts';
import { compareScript } from './compare.ts';
import { MemoryStore } from './memory-store.ts';
import { RealRedis } from './real-redis.ts';
import { parseScript, runScript, scriptFlags } from './script.ts';
import { randomScripts, writtenScripts } from './scripts.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    scripts: { type: 'string' },
    lines: { type: 'string' },
    quire: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const scripts = [
  ...writtenScripts(),
  ...randomScripts(seed, Number(values.scripts ?? '20'), Number(values.lines ?? '500')),
];

function openQuire(): Promise<QuireStore> {
  return QuireStore.open({ budget: 32 * 1024 * 1024, swapSize: 0, swapFile: undefined, threads: 0 });
}

let compared = 0;
for (const { name, text } of scripts) {
  const flags = scriptFlags(text);
  const password = flags.includes('--requirepass') ? flags[flags.indexOf('--requirepass') + 1] : undefined;
  const redis = await RealRedis.start(...flags);
  const steps = parseScript(text);
  const expected = await runScript(redis.port, steps, password).finally(() => redis.stop());
  const differences = await compareScript(text, expected, values.quire ? await openQuire() : new MemoryStore());
  compared += steps.length;
  if (differences.length === 0) continue;
  process.stdout.write(
    `${name} (seed ${seed}): ${differences.length} differences\n${differences.slice(0, 40).join('\n')}\n`,
  );
  process.exitCode = 1;
}
process.stdout.write(`${compared} replies compared, seed ${seed}\n`);
