/** `npm run -s record -w packages/server`: records from an installed redis-server what the server and its tests take from Redis. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { RealRedis } from './real-redis.ts';
import { recordCommandData } from './record-command-data.ts';
import { parseScript, runScript, scriptFlags } from './script.ts';
import { randomScripts, type Transcript, TRANSCRIPTS, writtenScripts } from './scripts.ts';
import { TestClient } from './test-client.ts';

const root = new URL('../../', import.meta.url);
const RANDOM_SCRIPTS = 8;
const RANDOM_LINES = 400;

async function recordCommands(): Promise<void> {
  const redis = await RealRedis.start();
  try {
    const client = await TestClient.connect(redis.port);
    const version = /redis_version:(\S+)/.exec(String(await client.call('INFO', 'server')))?.[1] ?? 'unknown';
    const data = await recordCommandData(client, version);
    mkdirSync(new URL('data/', root), { recursive: true });
    const info = data.info.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n');
    const docs = Object.entries(data.docs).map(([name, doc]) => `    ${JSON.stringify(name)}: ${JSON.stringify(doc)}`);
    const head = `{\n  "source": ${JSON.stringify(data.source)},\n  "info": [\n${info}\n  ],\n`;
    writeFileSync(new URL('data/commands.json', root), `${head}  "docs": {\n${docs.join(',\n')}\n  }\n}\n`);
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
