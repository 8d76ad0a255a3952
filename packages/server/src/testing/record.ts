/** `npm run -s record -w packages/server`: records from an installed redis-server what the server and its tests take from Redis. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { RealRedis } from './real-redis.ts';
import { recordCommandData } from './record-command-data.ts';
import { parseScript, runScript, scriptFlags } from './script.ts';
import { randomScripts, TRANSCRIPTS, type Transcript, writtenScripts } from './scripts.ts';
import { TestClient } from './test-client.ts';

const root = new URL('../../', import.meta.url);
const RANDOM_SCRIPTS = 8;
const RANDOM_LINES = 400;

async function recordCommands(): Promise<void> {
  const redis = await RealRedis.start();
  try {
    const client = await TestClient.connect(redis.port);
    const lines = (await recordCommandData(client)).map((entry) => `${JSON.stringify(entry)}\n`);
    mkdirSync(new URL('data/', root), { recursive: true });
    writeFileSync(new URL('data/commands.jsonl', root), lines.join(''));
    client.close();
  } finally {
    await redis.stop();
  }
}

async function recordScripts(): Promise<void> {
  const transcripts: Transcript[] = [];
  for (const { name, text } of [...writtenScripts(), ...randomScripts(1, RANDOM_SCRIPTS, RANDOM_LINES)]) {
    const flags = scriptFlags(text);
    const redis = await RealRedis.start(...flags);
    try {
      const password = flags.includes('--requirepass') ? flags[flags.indexOf('--requirepass') + 1] : undefined;
      transcripts.push({ name, text, answers: await runScript(redis.port, parseScript(text), password) });
    } catch (error) {
      throw new Error(`script ${name}`, { cause: error });
    } finally {
      await redis.stop();
    }
  }
  writeFileSync(TRANSCRIPTS, `[\n${transcripts.map((transcript) => JSON.stringify(transcript)).join(',\n')}\n]\n`);
}

await recordCommands();
await recordScripts();
