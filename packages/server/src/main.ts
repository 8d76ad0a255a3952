#!/usr/bin/env node
/** `quire-server`: opens the store, listens, says where, and closes cleanly on SIGTERM, SIGINT and SHUTDOWN. */
import { tmpdir } from 'node:os';
import { allowedBytes, formatBytes } from 'quire';
import { FlagError, HELP, type Options, parseOptions } from './options.ts';
import { describeTiers, QuireStore } from './quire-store.ts';
import { Server } from './server.ts';
import { QUIRE_VERSION } from './version.ts';

/** What went wrong, in one line. */
function explain(error: unknown, options: Options | undefined): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const where = options === undefined ? '' : `${options.bind.join(' ')} port ${options.port}`;
  if (code === 'EADDRINUSE') return `${where} is in use by another program; choose another --port`;
  if (code === 'EACCES') return `no permission to listen on ${where}`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `${where}: no such address on this machine`;
  return String(message).replaceAll('\n', ' ');
}

function ended(error?: unknown): void {
  if (error !== undefined) process.stderr.write(`quire-server: closing failed: ${explain(error, undefined)}\n`);
  process.exit(error === undefined ? 0 : 1);
}

async function start(options: Options): Promise<Server> {
  const store = await QuireStore.open(options);
  try {
    const server = await Server.listen({
      store,
      port: options.port,
      bind: options.bind,
      databases: options.databases,
      requirepass: options.requirepass,
      maxclients: options.maxclients,
      policy: options.policy,
      settings: {
        threads: String(options.threads),
        swapFile: options.swapFile ?? tmpdir(),
        swapSize: options.swapSize,
      },
      onShutdown: ended,
    });
    return server;
  } catch (error) {
    await store.close();
    throw error;
  }
}

function announce(server: Server, options: Options): void {
  const addresses = server.addresses();
  process.stdout.write(
    `Quire ${QUIRE_VERSION} listens on ${addresses.join(', ')} (Redis protocol 2 and 3)\n` +
      `  budget  ${formatBytes(options.budget)}\n` +
      `  tiers   ${describeTiers(options, tmpdir())}\n` +
      `  try     redis-cli -p ${server.port} set greeting hello\n`,
  );
}

async function main(): Promise<void> {
  let options: Options | undefined;
  try {
    const parsed = parseOptions(process.argv.slice(2), allowedBytes());
    if (parsed === 'help') {
      process.stdout.write(HELP);
      return;
    }
    options = parsed;
    const server = await start(parsed);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => server.shutdown());
    announce(server, parsed);
  } catch (error) {
    const prefix = error instanceof FlagError ? '' : 'cannot start: ';
    process.stderr.write(`quire-server: ${prefix}${explain(error, options)}\n`);
    process.exit(1);
  }
}

await main();
