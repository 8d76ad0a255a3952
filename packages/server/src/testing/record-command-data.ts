/** Asks a real Redis what it says about each command this server has: the content of data/commands.jsonl. */
import type { CommandData, CommandDoc, CommandInfo } from '../command-data.ts';
import { allHandlers } from '../commands/all.ts';
import type { Reply } from './reply-reader.ts';
import type { TestClient } from './test-client.ts';

/** What later versions than 7.0 added and this server has; clients of today send these when they connect. */
const NO_AUTH_TIMES = ['noscript', 'loading', 'stale'];
const ADDED_INFO: Record<string, CommandInfo> = {
  'client|setinfo': ['client|setinfo', 4, NO_AUTH_TIMES, 0, 0, 0, ['@slow', '@connection'], [], [], []],
  'client|no-touch': ['client|no-touch', 3, NO_AUTH_TIMES, 0, 0, 0, ['@slow', '@connection'], [], [], []],
};
const ADDED_DOCS: Record<string, CommandDoc> = {
  'client|setinfo': {
    summary: 'Set client or connection specific info',
    since: '7.2.0',
    group: 'connection',
    complexity: 'O(1)',
  },
  'client|no-touch': {
    summary: 'Controls whether commands sent by the client affect the LRU/LFU of accessed keys',
    since: '7.2.0',
    group: 'connection',
    complexity: 'O(1)',
  },
};

/** Sets, maps and nested replies as plain arrays and objects. */
function plain(reply: Reply): unknown {
  if (reply === null || typeof reply !== 'object') return reply;
  if (Array.isArray(reply)) return reply.map(plain);
  if ('map' in reply) return Object.fromEntries(reply.map.map(([name, value]) => [plain(name), plain(value)]));
  if ('set' in reply) return reply.set.map(plain);
  throw new Error(reply.error);
}

/** `client` must be connected to a real Redis; it is switched to RESP3. */
export async function recordCommandData(client: TestClient): Promise<CommandData[]> {
  const handlers = new Set(Object.keys(allHandlers(undefined as never)));
  await client.call('HELLO', '3');
  const containers = [...handlers].map((name) => name.split('|')[0]);
  const names = [...new Set(containers)].sort();
  const info = (plain(await client.call('COMMAND', 'INFO', ...names)) as CommandInfo[]).map((entry) => {
    const children = entry[9].filter((child) => handlers.has(child[0]));
    const added = Object.values(ADDED_INFO).filter((child) => child[0].startsWith(`${entry[0]}|`));
    entry[9] = [...children, ...added].sort((a, b) => (a[0] < b[0] ? -1 : 1));
    return entry;
  });
  const docs = plain(await client.call('COMMAND', 'DOCS', ...names)) as Record<string, CommandDoc>;
  for (const [name, doc] of Object.entries(docs)) {
    if (doc.subcommands === undefined) continue;
    const all = { ...doc.subcommands };
    for (const [child, added] of Object.entries(ADDED_DOCS)) if (child.startsWith(`${name}|`)) all[child] = added;
    const kept = Object.entries(all).filter(([child]) => handlers.has(child));
    doc.subcommands = Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return info.map((entry) => ({ info: entry, doc: docs[entry[0]] ?? {} }));
}
