/** The two servers under test, each a process of its own on a free loopback port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ColumnAbsent } from '../benchmark.ts';
import type { HostSwap } from '../host-swap.ts';
import { repositoryRoot } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import type { Results } from '../report.ts';
import { undoLater } from '../undo.ts';
import { whyNoRedis } from './redis-benchmark.ts';
import { RespClient } from './resp-client.ts';

export const REDIS = 'redis';
const STOP_MS_MAX = 5_000;
const LOG_CHARS_MAX = 2_000;

export class ServerProcess {
  readonly name: string;
  readonly port: number;
  readonly client: RespClient;
  readonly #process: ChildProcess;
  readonly #done: () => void;

  private constructor(name: string, port: number, client: RespClient, process_: ChildProcess, done: () => void) {
    this.name = name;
    this.port = port;
    this.client = client;
    this.#process = process_;
    this.#done = done;
  }

  /** Throws when the process ends before it listens, with the end of what it printed. */
  static async start(name: string, port: number, command: string, args: readonly string[]): Promise<ServerProcess> {
    const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const done = undoLater(() => child.kill('SIGKILL'));
    let log = '';
    const keep = (bytes: Buffer) => {
      log = (log + bytes.toString()).slice(-LOG_CHARS_MAX);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const ended = new Promise<never>((_, reject) => {
      child.on('error', reject);
      child.on('exit', (status, signal) => reject(new Error(`${name} ended with ${signal ?? status}: ${log.trim()}`)));
    });
    const client = await Promise.race([RespClient.connect(port, name), ended]);
    ended.catch(() => undefined);
    return new ServerProcess(name, port, client, child, done);
  }

  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Resident bytes of the process as the kernel counts them. */
  rssBytes(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  /** SIGTERM, then SIGKILL when it takes longer than five seconds. */
  async stop(): Promise<void> {
    this.client.close();
    if (this.isAlive) {
      const ended = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#process.kill('SIGTERM');
      const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS_MAX);
      await ended;
      clearTimeout(timer);
    }
    this.#done();
  }
}

/** Debian's redis-server, persistence off; inside the cgroup of `host` when one is given. Throws ColumnAbsent without it. */
export async function startRedis(host: HostSwap | null): Promise<ServerProcess> {
  const reason = whyNoRedis();
  if (reason !== null) throw new ColumnAbsent(REDIS, reason);
  const port = await freePort();
  const redis = ['redis-server', '--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  if (host === null) return ServerProcess.start(REDIS, port, redis[0], redis.slice(1));
  const enter = 'echo $$ > "$0" && exec "$@"';
  return ServerProcess.start(REDIS, port, 'sh', ['-c', enter, host.cgroup.procsFile, ...redis]);
}

/** Quire's server with its default tiers. Throws ColumnAbsent when it is not built. */
export async function startQuireServer(budgetMib: number): Promise<ServerProcess> {
  const main = join(repositoryRoot, 'packages/server/dist/main.js');
  if (!existsSync(main)) throw new ColumnAbsent(QUIRE, 'packages/server is not built');
  const port = await freePort();
  const args = [main, '--port', `${port}`, '--budget', `${budgetMib}mb`];
  return ServerProcess.start(QUIRE, port, process.execPath, args);
}

/** Adds the server that `start` gives, or a row that says why there is none. */
export async function startOne(
  start: () => Promise<ServerProcess>,
  servers: ServerProcess[],
  results: Results,
): Promise<void> {
  try {
    servers.push(await start());
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(error.column, error.message);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port on loopback');
  return address.port;
}
