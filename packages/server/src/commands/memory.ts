/** MEMORY: how much is used, and by what. */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { failNotInteger, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import type { Server } from '../server.ts';
import { replyHelp } from './help.ts';

/** An entry's header, index slot and mean class rounding, beside key and value. */
const ENTRY_OVERHEAD_BYTES = 32;

const HELP = [
  'DOCTOR',
  '    Return memory problems reports.',
  'MALLOC-STATS',
  '    Return internal statistics report from the memory allocator.',
  'PURGE',
  '    Attempt to purge dirty pages for reclamation by the allocator.',
  'STATS',
  '    Return information about the memory usage of the server.',
  'USAGE <key> [SAMPLES <count>]',
  '    Return memory in bytes used by <key> and its value. Nested values are',
  '    sampled up to <count> times (default: 5, 0 means sample all).',
];

function usage(client: Client, request: Request, out: ReplyWriter): void {
  for (let i = 3; i < request.count; i += 2) {
    if (!request.is(i, 'SAMPLES') || i + 1 >= request.count) failSyntax();
    const samples = request.integer(i + 1);
    if (samples === undefined) failNotInteger();
    if (samples < 0) failSyntax();
  }
  const length = client.db.map.valueLength(request.arg(2));
  if (length < 0) out.nil();
  else out.integer(length + request.length(2) + ENTRY_OVERHEAD_BYTES);
}

export function memoryHandlers(server: Server): Handlers {
  function stats(_client: Client, _request: Request, out: ReplyWriter): void {
    const used = server.memoryUsed();
    const databases = server.keyspace.open().filter((db) => db.map.count > 0);
    const keys = databases.reduce((sum, db) => sum + db.map.count, 0);
    const dataset = server.keyspace.bytes;
    const rss = process.memoryUsage.rss();
    const numbers: [string, number][] = [
      ['peak.allocated', server.stats.peakMemoryBytes],
      ['total.allocated', used],
      ['startup.allocated', 0],
      ['replication.backlog', 0],
      ['clients.slaves', 0],
      ['clients.normal', server.clients().reduce((sum, { link }) => sum + link.queryBytes + link.replyBytes, 0)],
      ['overhead.total', Math.max(used - dataset, 0)],
      ['keys.count', keys],
      ['keys.bytes-per-key', keys === 0 ? 0 : Math.floor(dataset / keys)],
      ['dataset.bytes', dataset],
    ];
    out.map(numbers.length + databases.length + 3);
    for (const [name, value] of numbers) {
      out.bulkText(name);
      out.integer(value);
    }
    for (const db of databases) {
      out.bulkText(`db.${db.index}`);
      out.map(2);
      out.bulkText('records.bytes');
      out.integer(db.map.bytes);
      out.bulkText('keys.expiring');
      out.integer(db.map.expiringCount);
    }
    const fractions: [string, number][] = [
      ['dataset.percentage', used === 0 ? 0 : (dataset / used) * 100],
      ['peak.percentage', server.stats.peakMemoryBytes === 0 ? 0 : (used / server.stats.peakMemoryBytes) * 100],
      ['fragmentation', used === 0 ? 0 : rss / used],
    ];
    for (const [name, value] of fractions) {
      out.bulkText(name);
      out.double(value);
    }
  }

  return {
    'memory|usage': usage,
    'memory|stats': stats,
    'memory|doctor': (_client, _request, out) => {
      const share = server.memoryUsed() / server.store.budget;
      const full = `Sam, ${Math.round(share * 100)}% of the budget is in use: values are compressed and moved to the file tier.`;
      out.verbatim(share > 0.9 ? full : "Hi Sam, I can't find any memory issue in your instance.");
    },
    'memory|malloc-stats': (_client, _request, out) => {
      const lines = Object.entries(server.store.stats()).map(([name, value]) => `${name}: ${value}\n`);
      out.verbatim(lines.join(''));
    },
    'memory|purge': (_client, _request, out) => out.ok(),
    'memory|help': (_client, _request, out) => replyHelp('MEMORY', HELP, out),
  };
}
