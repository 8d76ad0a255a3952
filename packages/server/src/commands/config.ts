/** CONFIG GET, SET, RESETSTAT, REWRITE. */
import type { Handlers } from '../command-table.ts';
import { wrongArity } from '../dispatcher.ts';
import { Glob } from '../glob.ts';
import { CommandError, fail } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { Server } from '../server.ts';
import { replyHelp } from './help.ts';

const HELP = [
  'GET <pattern>',
  '    Return parameters matching the glob-like <pattern> and their values.',
  'SET <directive> <value>',
  '    Set the configuration <directive> to <value>.',
  'RESETSTAT',
  '    Reset statistics reported by the INFO command.',
  'REWRITE',
  '    Rewrite the configuration file.',
];

/** Names of the parameters asked for, each with how it is to be shown: as it was asked for, unless by a pattern. */
function matching(server: Server, request: Request): Map<string, string> {
  const shown = new Map<string, string>();
  for (let i = 2; i < request.count; i++) {
    const asked = request.text(i);
    if (!/[*?[]/.test(asked)) {
      const name = asked.toLowerCase();
      if (server.config.has(name) && !shown.has(name)) shown.set(name, asked);
      continue;
    }
    const glob = new Glob(request.arg(i), true);
    for (const name of server.config.names()) if (glob.matches(name) && !shown.has(name)) shown.set(name, name);
  }
  return shown;
}

export function configHandlers(server: Server): Handlers {
  return {
    'config|get': (_client, request, out) => {
      const shown = matching(server, request);
      out.map(shown.size);
      for (const [name, title] of shown) {
        out.bulkText(title);
        out.bulkText(server.config.get(name) ?? '');
      }
    },
    'config|set': (_client, request, out) => {
      if (request.count % 2 !== 0) throw new CommandError(wrongArity('config|set'));
      const pairs: [string, string][] = [];
      for (let i = 2; i < request.count; i += 2) pairs.push([request.lower(i), request.text(i + 1)]);
      const error = server.config.setAll(pairs);
      if (error !== undefined) fail(error);
      out.ok();
    },
    'config|resetstat': (_client, _request, out) => {
      server.resetStats();
      out.ok();
    },
    'config|rewrite': () => fail('The server is running without a config file'),
    'config|help': (_client, _request, out) => replyHelp('CONFIG', HELP, out),
  };
}
