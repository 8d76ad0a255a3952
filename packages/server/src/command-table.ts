/**
 * Commands by name. A name is looked up without making a string: its bytes, folded to lower case, give a hash, and the few commands
 * under one hash are compared byte by byte. Subcommands (`CLIENT LIST`) are rare and found by a string.
 */
import type { Client } from './client.ts';
import { type CommandDoc, type CommandInfo, loadCommandData } from './command-data.ts';
import type { Request } from './resp/request.ts';
import type { ReplyWriter } from './resp/writer.ts';

/** Answers one command. Replies go to `out`; what is thrown becomes an error reply in place of them. */
export type Handler = (client: Client, request: Request, out: ReplyWriter) => void;
export type Handlers = Record<string, Handler>;

export interface Command {
  /** Lower case; 'client|list' for a subcommand. */
  readonly name: string;
  /** Arguments with the name: exactly this many, or at least -arity. */
  readonly arity: number;
  readonly isWrite: boolean;
  /** May grow the data: refused above `maxmemory`. */
  readonly isDenyOom: boolean;
  /** Allowed before AUTH. */
  readonly isNoAuth: boolean;
  /** Not allowed inside MULTI. */
  readonly isNoMulti: boolean;
  readonly info: CommandInfo;
  readonly handler: Handler;
  readonly subcommands: Map<string, Command> | undefined;
  calls: number;
  /** Refused before they ran. */
  rejected: number;
  /** Answered with an error. */
  failed: number;
}

const HASH_SIZE = 512;

export class CommandTable {
  readonly commands = new Map<string, Command>();
  private readonly docs = new Map<string, CommandDoc>();
  private readonly buckets: { command: Command; codes: Uint8Array }[][] = [];

  constructor(handlers: Handlers) {
    for (let i = 0; i < HASH_SIZE; i++) this.buckets.push([]);
    for (const { info, doc } of loadCommandData()) {
      const command = makeCommand(info, handlers);
      this.commands.set(command.name, command);
      this.docs.set(command.name, doc);
      for (const [name, child] of Object.entries(doc.subcommands ?? {})) this.docs.set(name, child);
      const codes = Buffer.from(command.name, 'latin1');
      this.buckets[hashOf(codes)].push({ command, codes });
    }
  }

  /** The command whose name `bytes` is, in any case; a container for 'client'. */
  find(bytes: Uint8Array): Command | undefined {
    const bucket = this.buckets[hashOf(bytes)];
    for (let i = 0; i < bucket.length; i++) {
      const entry = bucket[i];
      if (isSameName(entry.codes, bytes)) return entry.command;
    }
    return undefined;
  }

  /** 'get' or 'client|list', any case. */
  byName(name: string): Command | undefined {
    const [parent, child] = name.toLowerCase().split('|', 2);
    const command = this.commands.get(parent);
    return child === undefined ? command : command?.subcommands?.get(child);
  }

  doc(command: Command): CommandDoc | undefined {
    return this.docs.get(command.name);
  }

  /** Every command and subcommand. */
  *all(): Generator<Command> {
    for (const command of this.commands.values()) {
      yield command;
      if (command.subcommands !== undefined) yield* command.subcommands.values();
    }
  }
}

function makeCommand(info: CommandInfo, handlers: Handlers): Command {
  const [name, arity, flags, , , , , , , children] = info;
  const handler = handlers[name];
  const subcommands = new Map<string, Command>();
  for (const child of children) subcommands.set(child[0].slice(name.length + 1), makeCommand(child, handlers));
  if (handler === undefined && subcommands.size === 0) throw new Error(`command ${name} has no handler`);
  return {
    name,
    arity,
    isWrite: flags.includes('write'),
    isDenyOom: flags.includes('denyoom'),
    isNoAuth: flags.includes('no_auth'),
    isNoMulti: flags.includes('no_multi'),
    info,
    handler: handler ?? noHandler,
    subcommands: subcommands.size === 0 ? undefined : subcommands,
    calls: 0,
    rejected: 0,
    failed: 0,
  };
}

function noHandler(): void {
  throw new Error('a container has no handler of its own');
}

/** Letters of either case give the same hash. */
function hashOf(bytes: Uint8Array): number {
  let hash = bytes.length;
  for (let i = 0; i < bytes.length && i < 16; i++) hash = (Math.imul(hash, 31) + (bytes[i] | 32)) | 0;
  return hash & (HASH_SIZE - 1);
}

function isSameName(codes: Uint8Array, bytes: Uint8Array): boolean {
  if (codes.length !== bytes.length) return false;
  for (let i = 0; i < codes.length; i++) {
    const byte = bytes[i];
    const folded = byte >= 65 && byte <= 90 ? byte + 32 : byte;
    if (folded !== codes[i]) return false;
  }
  return true;
}
