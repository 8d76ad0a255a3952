/**
 * From a request to its reply: finds the command, checks what must be checked in Redis' order (existence, arity, authentication,
 * MULTI, memory), runs or queues it, and turns what it threw into an error reply in place of anything it had written.
 */
import { QuireError } from 'quire';
import { type Client, REPLY_ON, REPLY_SKIP, REPLY_SKIP_NEXT } from './client.ts';
import type { Command, CommandTable } from './command-table.ts';
import { OutOfMemory } from './evict.ts';
import type { Keyspace } from './keyspace.ts';
import { CommandError } from './reply-error.ts';
import type { Request } from './resp/request.ts';
import { ReplyTooLarge, type ReplyWriter } from './resp/writer.ts';

/** Commands that act on the transaction itself and are never queued. */
const UNQUEUED = new Set(['exec', 'discard', 'multi', 'watch', 'quit', 'reset']);
/** How much of an unknown command is quoted. */
const QUOTED_CHARS_MAX = 128;
/** What a queued command costs beside its bytes. */
const QUEUED_OVERHEAD_BYTES = 256;

export const ERROR_NOAUTH = 'NOAUTH Authentication required.';
export const ERROR_OOM = "OOM command not allowed when used memory > 'maxmemory'.";
const ERROR_OVERSIZE = 'ERR string exceeds maximum allowed size (proto-max-bulk-len)';

export class Dispatcher {
  /** Commands executed. */
  commandCount = 0;
  /** Errors that are bugs: answered, counted, logged. */
  unexpectedErrors = 0;
  private readonly table: CommandTable;
  private readonly keyspace: Keyspace;
  private readonly out: ReplyWriter;
  private readonly log: (text: string) => void;
  private readonly queueBytesMax: () => number;

  constructor(options: {
    table: CommandTable;
    keyspace: Keyspace;
    out: ReplyWriter;
    log: (text: string) => void;
    queueBytesMax: () => number;
  }) {
    this.table = options.table;
    this.keyspace = options.keyspace;
    this.out = options.out;
    this.log = options.log;
    this.queueBytesMax = options.queueBytesMax;
  }

  /** CONFIG RESETSTAT. */
  reset(): void {
    this.commandCount = 0;
    this.unexpectedErrors = 0;
  }

  /** Executes or queues one request of `client`. */
  dispatch(client: Client, request: Request): void {
    if (client.isSpecial || request.isOversize) {
      this.dispatchSpecial(client, request);
      return;
    }
    const command = this.resolve(request);
    if (command === undefined || !isArityRight(command, request.count)) {
      this.reject(client, command, this.explain(request, command));
      return;
    }
    this.call(client, command, request);
  }

  /** Runs a command that may run: here and from EXEC. */
  call(client: Client, command: Command, request: Request): void {
    const { out } = this;
    const mark = out.mark();
    const errorsBefore = out.errorCount;
    command.calls++;
    this.commandCount++;
    client.lastCommand = command;
    try {
      if (command.isDenyOom && this.keyspace.evictor.maxmemory !== 0) this.keyspace.evictor.enforceCeiling();
      command.handler(client, request, out);
    } catch (error) {
      out.rewind(mark);
      out.error(this.errorText(error, command));
    }
    if (out.errorCount !== errorsBefore) command.failed++;
  }

  /** A client that owes the password, is inside MULTI or wants no replies; or a request too long to be kept. */
  private dispatchSpecial(client: Client, request: Request): void {
    const mark = this.out.mark();
    if (client.replyMode === REPLY_SKIP_NEXT) client.replyMode = REPLY_SKIP;
    const isMuted = client.replyMode !== REPLY_ON;
    this.decide(client, request);
    if (isMuted && client.replyMode !== REPLY_ON) this.out.rewind(mark);
    if (client.replyMode === REPLY_SKIP) client.replyMode = REPLY_ON;
  }

  private decide(client: Client, request: Request): void {
    if (request.isOversize) {
      this.reject(client, undefined, ERROR_OVERSIZE);
      return;
    }
    const command = this.resolve(request);
    if (command === undefined || !isArityRight(command, request.count)) {
      this.reject(client, command, this.explain(request, command));
    } else if (!client.isAuthenticated && !command.isNoAuth) {
      this.reject(client, command, ERROR_NOAUTH);
    } else if (client.queue === undefined || UNQUEUED.has(command.name)) {
      this.call(client, command, request);
    } else if (command.isNoMulti) {
      this.reject(client, command, 'ERR Command not allowed inside a transaction');
    } else {
      this.enqueue(client, command, request);
    }
  }

  private enqueue(client: Client, command: Command, request: Request): void {
    const bytes = client.queueBytes + request.byteLength + request.count * 64 + QUEUED_OVERHEAD_BYTES;
    if (bytes > this.queueBytesMax()) {
      this.reject(client, command, 'ERR transaction exceeds the client-query-buffer-limit');
      return;
    }
    try {
      if (command.isDenyOom && this.keyspace.evictor.maxmemory !== 0) this.keyspace.evictor.enforceCeiling();
    } catch (error) {
      this.reject(client, command, this.errorText(error, command));
      return;
    }
    client.queueBytes = bytes;
    client.queue?.push({ command, request: request.clone() });
    this.out.simple('QUEUED');
  }

  private reject(client: Client, command: Command | undefined, error: string): void {
    if (client.queue !== undefined) client.isAborted = true;
    if (command !== undefined) command.rejected++;
    if (error === '') {
      client.link.destroy();
    } else if (command?.name === 'exec') {
      client.endTransaction();
      this.out.error(`EXECABORT Transaction discarded because of: ${error.replace(/^ERR /, '')}`);
    } else {
      this.out.error(error);
    }
  }

  /** The command, or the subcommand, that the request names. */
  resolve(request: Request): Command | undefined {
    const command = this.table.find(request.arg(0));
    if (command === undefined || command.subcommands === undefined || request.count === 1) return command;
    return command.subcommands.get(request.lower(1));
  }

  /** Why the request does not name a command that can take it; '' for what no Redis client sends, after which Redis hangs up. */
  private explain(request: Request, command: Command | undefined): string {
    if (command !== undefined) return wrongArity(command.name);
    const name = request.text(0).slice(0, QUOTED_CHARS_MAX);
    const parent = this.table.find(request.arg(0));
    if (parent !== undefined) {
      return `ERR unknown subcommand '${request.text(1).slice(0, QUOTED_CHARS_MAX)}'. Try ${parent.name.toUpperCase()} HELP.`;
    }
    const folded = name.toLowerCase();
    if (folded === 'host:' || folded === 'post') return '';
    let quoted = '';
    for (let i = 1; i < request.count && quoted.length < QUOTED_CHARS_MAX; i++) {
      quoted += `'${request.text(i).slice(0, QUOTED_CHARS_MAX - quoted.length)}' `;
    }
    return `ERR unknown command '${name}', with args beginning with: ${quoted}`;
  }

  private errorText(error: unknown, command: Command): string {
    if (error instanceof CommandError) return error.message;
    if (error instanceof OutOfMemory) return ERROR_OOM;
    if (error instanceof ReplyTooLarge) return 'ERR reply exceeds the client-output-buffer-limit';
    if (error instanceof QuireError) return `ERR ${command.name}: ${error.message} (${error.code})`;
    this.unexpectedErrors++;
    this.log(`command ${command.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return 'ERR internal error';
  }
}

export function wrongArity(name: string): string {
  return `ERR wrong number of arguments for '${name}' command`;
}

export function isArityRight(command: Command, count: number): boolean {
  return command.arity >= 0 ? count === command.arity : count >= -command.arity;
}
