/** COMMAND: the command table, described as Redis 7.0 describes it. */
import type { Client } from '../client.ts';
import type { ArgumentDoc, CommandDoc, CommandInfo, KeySpec } from '../command-data.ts';
import type { Command, Handlers } from '../command-table.ts';
import { isArityRight } from '../dispatcher.ts';
import { Glob } from '../glob.ts';
import { fail, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import type { Server } from '../server.ts';
import { replyHelp } from './help.ts';

const HELP = [
  '(no subcommand)',
  '    Return details about all Redis commands.',
  'COUNT',
  '    Return the total number of commands in this Redis server.',
  'LIST',
  '    Return a list of all commands in this Redis server.',
  'INFO [<command-name> ...]',
  '    Return details about multiple Redis commands.',
  '    If no command names are given, documentation details for all',
  '    commands are returned.',
  'DOCS [<command-name> ...]',
  '    Return documentation details about multiple Redis commands.',
  '    If no command names are given, documentation details for all',
  '    commands are returned.',
  'GETKEYS <full-command>',
  '    Return the keys from a full Redis command.',
];

function replyInfo(info: CommandInfo, out: ReplyWriter): void {
  const [name, arity, flags, firstKey, lastKey, keyStep, categories, tips, keySpecs, children] = info;
  out.array(10);
  out.bulkText(name);
  out.integer(arity);
  replyStatuses(flags, out);
  out.integer(firstKey);
  out.integer(lastKey);
  out.integer(keyStep);
  replyStatuses(categories, out);
  out.set(tips.length);
  for (const tip of tips) out.bulkText(tip);
  out.set(keySpecs.length);
  for (const spec of keySpecs) replyKeySpec(spec, out);
  out.set(children.length);
  for (const child of children) replyInfo(child, out);
}

function replyStatuses(words: readonly string[], out: ReplyWriter): void {
  out.set(words.length);
  for (const word of words) out.simple(word);
}

function replyKeySpec(spec: KeySpec, out: ReplyWriter): void {
  out.map(spec.notes === undefined ? 3 : 4);
  if (spec.notes !== undefined) {
    out.bulkText('notes');
    out.bulkText(spec.notes);
  }
  out.bulkText('flags');
  replyStatuses(spec.flags, out);
  for (const part of ['begin_search', 'find_keys'] as const) {
    out.bulkText(part);
    out.map(2);
    out.bulkText('type');
    out.bulkText(spec[part].type);
    out.bulkText('spec');
    const entries = Object.entries(spec[part].spec);
    out.map(entries.length);
    for (const [name, value] of entries) {
      out.bulkText(name);
      if (typeof value === 'number') out.integer(value);
      else out.bulkText(value);
    }
  }
}

function replyDoc(doc: CommandDoc, out: ReplyWriter): void {
  const entries = Object.entries(doc);
  out.map(entries.length);
  for (const [name, value] of entries) {
    out.bulkText(name);
    if (typeof value === 'string') out.bulkText(value);
    else if (name === 'doc_flags') replyStatuses(value as string[], out);
    else if (name === 'history') replyHistory(value as [string, string][], out);
    else if (name === 'arguments') replyArguments(value as ArgumentDoc[], out);
    else replyDocs(Object.entries(value as Record<string, CommandDoc>), out);
  }
}

function replyDocs(docs: [string, CommandDoc][], out: ReplyWriter): void {
  out.map(docs.length);
  for (const [name, doc] of docs) {
    out.bulkText(name);
    replyDoc(doc, out);
  }
}

function replyHistory(history: readonly [string, string][], out: ReplyWriter): void {
  out.set(history.length);
  for (const [version, change] of history) {
    out.array(2);
    out.bulkText(version);
    out.bulkText(change);
  }
}

function replyArguments(args: readonly ArgumentDoc[], out: ReplyWriter): void {
  out.array(args.length);
  for (const argument of args) {
    const entries = Object.entries(argument);
    out.map(entries.length);
    for (const [name, value] of entries) {
      out.bulkText(name);
      if (typeof value === 'number') out.integer(value);
      else if (typeof value === 'string') out.bulkText(value);
      else if (name === 'flags') replyStatuses(value as string[], out);
      else replyArguments(value as ArgumentDoc[], out);
    }
  }
}

/** Which commands COMMAND LIST is asked for. */
function listFilter(request: Request): (command: Command) => boolean {
  if (request.count === 2) return () => true;
  if (request.count !== 5 || !request.is(2, 'FILTERBY')) failSyntax();
  const category = `@${request.lower(4)}`;
  const glob = new Glob(request.arg(4), true);
  if (request.is(3, 'ACLCAT')) return (command) => command.info[6].includes(category);
  if (request.is(3, 'PATTERN')) return (command) => glob.matches(command.name);
  if (!request.is(3, 'MODULE')) failSyntax();
  return () => false;
}

export function commandHandlers(server: Server): Handlers {
  const top = (): Command[] => [...server.table.commands.values()];

  /** The commands named by the arguments; undefined for an unknown one. */
  function named(request: Request): (Command | undefined)[] {
    const found: (Command | undefined)[] = [];
    for (let i = 2; i < request.count; i++) found.push(server.table.byName(request.text(i)));
    return found;
  }

  function info(_client: Client, request: Request, out: ReplyWriter): void {
    const commands = request.count > 2 ? named(request) : top();
    out.array(commands.length);
    for (const command of commands) {
      if (command === undefined) out.nil();
      else replyInfo(command.info, out);
    }
  }

  function docs(_client: Client, request: Request, out: ReplyWriter): void {
    const known = (request.count > 2 ? named(request) : top()).filter((command) => command !== undefined);
    replyDocs(
      known.map((command) => [command.name, server.table.doc(command) ?? {}]),
      out,
    );
  }

  /** Containers alone without a filter, subcommands too with one, as in Redis. */
  function list(_client: Client, request: Request, out: ReplyWriter): void {
    const isListed = listFilter(request);
    const names = (request.count === 2 ? top() : [...server.table.all()])
      .filter(isListed)
      .map((command) => command.name);
    out.array(names.length);
    for (const name of names) out.bulkText(name);
  }

  function getkeys(_client: Client, request: Request, out: ReplyWriter): void {
    const inner = request.tail(2);
    const command = server.dispatcher.resolve(inner);
    if (command === undefined) fail('Invalid command specified');
    const [, , , first, last, step] = command.info;
    if (first === 0) fail('The command has no key arguments');
    if (!isArityRight(command, inner.count)) fail('Invalid number of arguments specified for command');
    const end = last < 0 ? inner.count + last : last;
    const keys: Uint8Array[] = [];
    for (let i = first; i <= end; i += step) keys.push(inner.arg(i));
    out.array(keys.length);
    for (const key of keys) out.bulk(key);
  }

  return {
    command: (_client, _request, out) => {
      out.array(server.table.commands.size);
      for (const command of top()) replyInfo(command.info, out);
    },
    'command|count': (_client, _request, out) => out.integer(server.table.commands.size),
    'command|info': info,
    'command|docs': docs,
    'command|list': list,
    'command|getkeys': getkeys,
    'command|help': (_client, _request, out) => replyHelp('COMMAND', HELP, out),
  };
}
