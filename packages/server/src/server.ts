/**
 * The server: listens, keeps the clients, runs the timer, and owns what all connections share: one read buffer, one reply writer, the
 * command table, the keyspace. Everything happens on one thread, one command at a time, so every command is atomic.
 */
import { randomBytes } from 'node:crypto';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import type { Client } from './client.ts';
import { CommandTable } from './command-table.ts';
import { allHandlers } from './commands/all.ts';
import { Config, type FixedSettings, VALUE_BYTES_MAX } from './config.ts';
import { Connection } from './connection.ts';
import { Dispatcher } from './dispatcher.ts';
import type { EvictionPolicy } from './evict.ts';
import { expireCycle } from './expire-cycle.ts';
import { Keyspace } from './keyspace.ts';
import { isLoopback } from './loopback.ts';
import { BlockPool, bufferOver } from './resp/block-pool.ts';
import type { ParserLimits } from './resp/parser.ts';
import { ReplyWriter } from './resp/writer.ts';
import { ServerStats } from './server-stats.ts';
import type { Store } from './store.ts';

/** Bytes read at a time: libuv's own size. Larger does not read faster, and up to one such buffer waits for each client held back. */
const READ_BYTES = 64 * 1024;
/** The timer: active expiry, idle clients, rates. */
const TICK_MS = 100;

export interface ServerOptions {
  store: Store;
  /** 0 = any free one. */
  port?: number;
  /** Addresses; loopback only unless there is a password. */
  bind?: readonly string[];
  databases?: number;
  requirepass?: string;
  maxclients?: number;
  policy?: EvictionPolicy;
  /** For CONFIG GET. */
  settings?: Partial<Pick<FixedSettings, 'threads' | 'swapFile' | 'swapSize'>>;
  /** Called after `shutdown()` (the command, or a signal) has closed the server; with what went wrong in closing, if anything did. */
  onShutdown?: (error?: unknown) => void;
  /** Where a line for the operator goes. */
  log?: (text: string) => void;
}

export class Server {
  readonly store: Store;
  readonly keyspace: Keyspace;
  readonly config: Config;
  readonly table: CommandTable;
  readonly dispatcher: Dispatcher;
  readonly pool: BlockPool;
  readonly out: ReplyWriter;
  readonly readBuffer: Buffer;
  readonly limits: ParserLimits;
  readonly stats = new ServerStats();
  readonly runId = randomBytes(20).toString('hex');
  readonly startedMs = Date.now();
  readonly bind: readonly string[];
  readonly port: number;
  private readonly listeners: NetServer[] = [];
  private readonly connections = new Set<Connection>();
  private readonly onShutdown: (error?: unknown) => void;
  private timer: NodeJS.Timeout | undefined;
  private nextId = 1;
  private closing: Promise<void> | undefined;

  private constructor(options: ServerOptions, port: number) {
    this.store = options.store;
    this.pool = new BlockPool((bytes) => options.store.ioBuffer?.(bytes));
    this.out = new ReplyWriter(this.pool);
    const input = options.store.ioBuffer?.(READ_BYTES);
    this.readBuffer = input === undefined ? Buffer.allocUnsafeSlow(READ_BYTES) : bufferOver(input);
    this.port = port;
    this.bind = options.bind ?? ['127.0.0.1'];
    this.onShutdown = options.onShutdown ?? (() => {});
    this.keyspace = new Keyspace(options.store, options.databases ?? 16);
    this.config = new Config(
      {
        port,
        bind: this.bind,
        databases: this.keyspace.count,
        budget: options.store.budget,
        threads: options.settings?.threads ?? 'auto',
        swapFile: options.settings?.swapFile ?? '',
        swapSize: options.settings?.swapSize ?? 0,
      },
      this.keyspace.evictor,
    );
    this.config.maxclients = options.maxclients ?? this.config.maxclients;
    this.keyspace.evictor.policy = options.policy ?? 'noeviction';
    this.config.requirepass = options.requirepass ?? '';
    this.config.isExposed = !this.bind.every(isLoopback);
    this.limits = { valueBytesMax: VALUE_BYTES_MAX, requestBytesMax: this.config.queryBytesMax };
    this.config.onChange = () => this.applyLimits();
    this.applyLimits();
    this.table = new CommandTable(allHandlers(this));
    this.dispatcher = new Dispatcher({
      table: this.table,
      keyspace: this.keyspace,
      out: this.out,
      log: options.log ?? ((text) => process.stderr.write(`${text}\n`)),
      queueBytesMax: () => this.config.queryBytesMax,
    });
  }

  /** Listens on every address of `bind`. Rejects with the system's error (EADDRINUSE, EACCES, …), nothing left open. */
  static async listen(options: ServerOptions): Promise<Server> {
    const bind = options.bind ?? ['127.0.0.1'];
    if (!bind.every(isLoopback) && (options.requirepass ?? '') === '') {
      throw new Error('binding other addresses than loopback needs --requirepass');
    }
    const listeners: NetServer[] = [];
    let port = options.port ?? 6379;
    try {
      for (const host of bind) {
        const listener = await openListener(host, port);
        listeners.push(listener);
        port = (listener.address() as AddressInfo).port;
      }
    } catch (error) {
      for (const listener of listeners) listener.close();
      throw error;
    }
    const server = new Server(options, port);
    for (const listener of listeners) server.attach(listener);
    server.timer = setInterval(() => server.tick(), TICK_MS);
    server.timer.unref();
    return server;
  }

  /** 'address:port' of each listener. */
  addresses(): string[] {
    return this.listeners.map((listener) => {
      const { address, port, family } = listener.address() as AddressInfo;
      return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
    });
  }

  /** Connected clients, oldest first. */
  clients(): Client[] {
    return [...this.connections].map((connection) => connection.client);
  }

  get clientCount(): number {
    return this.connections.size;
  }

  /** Bytes of the budget in use; keeps the peak. */
  memoryUsed(): number {
    const used = this.store.memoryUsed();
    this.stats.peakMemoryBytes = Math.max(this.stats.peakMemoryBytes, used);
    return used;
  }

  /** CONFIG RESETSTAT. */
  resetStats(): void {
    this.stats.reset();
    this.dispatcher.reset();
    this.out.resetErrors();
    this.keyspace.resetStats();
    for (const command of this.table.all()) {
      command.calls = 0;
      command.rejected = 0;
      command.failed = 0;
    }
  }

  forget(connection: Connection): void {
    this.connections.delete(connection);
  }

  /** Stops listening, closes every client and the store. Idempotent. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  /** SHUTDOWN: closes, then tells the owner. */
  shutdown(): void {
    this.close().then(() => this.onShutdown(), this.onShutdown);
  }

  private async closeAll(): Promise<void> {
    clearInterval(this.timer);
    const closed = this.listeners.map((listener) => new Promise<void>((resolve) => listener.close(() => resolve())));
    for (const connection of this.connections) connection.destroy();
    await Promise.all(closed);
    await this.store.close();
  }

  private attach(listener: NetServer): void {
    this.listeners.push(listener);
    listener.on('connection', (socket) => this.accept(socket));
  }

  private accept(socket: Socket): void {
    this.stats.connectionsReceived++;
    const connection = new Connection(this, socket, this.nextId++);
    this.connections.add(connection);
    connection.client.isAuthenticated = this.config.requirepass === '';
    if (this.connections.size > this.config.maxclients) {
      this.stats.connectionsRejected++;
      connection.refuse('ERR max number of clients reached');
    }
  }

  private applyLimits(): void {
    this.limits.requestBytesMax = this.config.queryBytesMax;
    this.out.limitBytes = this.config.replyBytesMax;
  }

  private tick(): void {
    this.memoryUsed();
    this.stats.expiredKeys += expireCycle(this.keyspace);
    this.stats.sample(this.dispatcher.commandCount);
    const { timeoutSeconds } = this.config;
    if (timeoutSeconds === 0) return;
    const idleSinceMs = Date.now() - timeoutSeconds * 1000;
    for (const connection of this.connections) {
      if (connection.client.lastActiveMs < idleSinceMs) connection.destroy();
    }
  }
}

function openListener(host: string, port: number): Promise<NetServer> {
  const listener = createServer({
    pauseOnConnect: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 300_000,
  });
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen({ host, port, backlog: 511 }, () => {
      listener.removeListener('error', reject);
      listener.on('error', () => {});
      resolve(listener);
    });
  });
}
