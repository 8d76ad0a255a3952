/** `npm run -s record -w packages/server`: records from an installed redis-server what the server and its tests take from Redis. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { RealRedis } from './real-redis.ts';
import { recordCommandData } from './record-command-data.ts';
import { TestClient } from './test-client.ts';

const root = new URL('../../', import.meta.url);

async function main(): Promise<void> {
  const redis = await RealRedis.start();
  try {
    const client = await TestClient.connect(redis.port);
    const version = /redis_version:(\S+)/.exec(String(await client.call('INFO', 'server')))?.[1] ?? 'unknown';
    const data = await recordCommandData(client, version);
    mkdirSync(new URL('data/', root), { recursive: true });
    const lines = data.info.map((info) => `    ${JSON.stringify(info)}`);
    const docs = Object.entries(data.docs).map(([name, doc]) => `    ${JSON.stringify(name)}: ${JSON.stringify(doc)}`);
    writeFileSync(
      new URL('data/commands.json', root),
      `{\n  "source": ${JSON.stringify(data.source)},\n  "info": [\n${lines.join(',\n')}\n  ],\n  "docs": {\n${docs.join(',\n')}\n  }\n}\n`,
    );
    client.close();
  } finally {
    await redis.stop();
  }
}

await main();
