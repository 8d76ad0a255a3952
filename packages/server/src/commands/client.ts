/** CLIENT: who is connected, and what is to be done about it. */
import { type Client, REPLY_OFF, REPLY_ON, REPLY_SKIP_NEXT } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { CommandError, fail, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import type { Server } from '../server.ts';
import { isCleanName, setName } from './connection.ts';
import { replyHelp } from './help.ts';

/** Every client here is of the first type. */
const TYPES = ['normal', 'master', 'slave', 'replica', 'pubsub'];

const HELP = [
  'GETNAME',
  '    Return the name of the current connection.',
  'ID',
  '    Return the ID of the current connection.',
  'INFO',
  '    Return information about the current client connection.',
  'KILL <ip:port>',
  '    Kill connection made from <ip:port>.',
  'KILL <option> <value> [<option> <value> [...]]',
  '    Kill connections. Options are:',
  '    * ADDR (<ip:port>|<unixsocket>:0)',
  '      Kill connections made from the specified address',
  '    * LADDR (<ip:port>|<unixsocket>:0)',
  '      Kill connections made to specified local address',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Kill connections by type.',
  '    * USER <username>',
  '      Kill connections authenticated by <username>.',
  '    * SKIPME (YES|NO)',
  '      Skip killing current connection (default: yes).',
  'LIST [options ...]',
  '    Return information about client connections. Options:',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Return clients of specified type.',
  'NO-EVICT (ON|OFF)',
  '    Protect current client connection from eviction.',
  'NO-TOUCH (ON|OFF)',
  '    Will not touch LRU/LFU stats when this mode is on.',
  'REPLY (ON|OFF|SKIP)',
  '    Control the replies sent to the current connection.',
  'SETINFO <option> <value>',
  '    Set client meta attr. Options are:',
  '    * LIB-NAME: the client lib name.',
  '    * LIB-VER: the client lib version.',
  'SETNAME <name>',
  '    Assign the name <name> to the current connection.',
];

/** One line of CLIENT LIST. */
export function describeClient(client: Client, nowMs: number): string {
  const { link } = client;
  const flags =
    (client.queue === undefined ? '' : 'x') +
    (client.isDirty ? 'd' : '') +
    (client.isClosing ? 'c' : '') +
    (client.isNoEvict ? 'e' : '') +
    (client.isNoTouch ? 'T' : '');
  const seconds = (sinceMs: number) => Math.floor((nowMs - sinceMs) / 1000);
  const fields: [string, string | number][] = [
    ['id', client.id],
    ['addr', link.remote],
    ['laddr', link.local],
    ['fd', link.fd],
    ['name', client.name],
    ['age', seconds(client.createdMs)],
    ['idle', seconds(client.lastActiveMs)],
    ['flags', flags === '' ? 'N' : flags],
    ['db', client.db.index],
    ['sub', 0],
    ['psub', 0],
    ['ssub', 0],
    ['multi', client.queue === undefined ? -1 : client.queue.length],
    ['qbuf', link.queryBytes],
    ['qbuf-free', 0],
    ['argv-mem', 0],
    ['multi-mem', client.queueBytes],
    ['rbs', 0],
    ['rbp', 0],
    ['obl', 0],
    ['oll', link.replyCount],
    ['omem', link.replyBytes],
    ['tot-mem', link.queryBytes + link.replyBytes + client.queueBytes],
    ['events', 'r'],
    ['cmd', client.lastCommand?.name ?? 'NULL'],
    ['user', 'default'],
    ['redir', -1],
    ['resp', client.resp],
    ['lib-name', client.libraryName],
    ['lib-ver', client.libraryVersion],
  ];
  return fields.map(([name, value]) => `${name}=${value}`).join(' ');
}

interface KillFilter {
  id: number | undefined;
  address: string | undefined;
  localAddress: string | undefined;
  isOtherType: boolean;
  isSkipMe: boolean;
}

/** True for a type that clients here have. */
function isOwnType(name: string): boolean {
  if (!TYPES.includes(name.toLowerCase())) fail(`Unknown client type '${name}'`);
  return name.toLowerCase() === 'normal';
}

function parseKillFilter(request: Request): KillFilter {
  const filter: KillFilter = {
    id: undefined,
    address: undefined,
    localAddress: undefined,
    isOtherType: false,
    isSkipMe: true,
  };
  if (request.count === 3) return { ...filter, address: request.text(2), isSkipMe: false };
  for (let i = 2; i < request.count; i += 2) {
    if (i + 1 >= request.count) failSyntax();
    const value = request.text(i + 1);
    if (request.is(i, 'ID')) {
      const id = request.integer(i + 1);
      if (id === undefined || id < 1) fail('client-id should be greater than 0');
      filter.id = id;
    } else if (request.is(i, 'TYPE')) filter.isOtherType = !isOwnType(value);
    else if (request.is(i, 'ADDR')) filter.address = value;
    else if (request.is(i, 'LADDR')) filter.localAddress = value;
    else if (request.is(i, 'USER')) {
      if (value !== 'default') fail(`No such user '${value}'`);
    } else if (request.is(i, 'SKIPME')) filter.isSkipMe = yesNo(value);
    else failSyntax();
  }
  return filter;
}

function yesNo(value: string): boolean {
  const word = value.toLowerCase();
  if (word !== 'yes' && word !== 'no') failSyntax();
  return word === 'yes';
}

function isWanted(filter: KillFilter, client: Client): boolean {
  if (filter.isOtherType) return false;
  if (filter.id !== undefined && filter.id !== client.id) return false;
  if (filter.address !== undefined && filter.address !== client.link.remote) return false;
  return filter.localAddress === undefined || filter.localAddress === client.link.local;
}

function onOff(request: Request, index: number): boolean {
  if (request.is(index, 'ON')) return true;
  if (!request.is(index, 'OFF')) failSyntax();
  return false;
}

function reply(client: Client, request: Request, out: ReplyWriter): void {
  if (request.is(2, 'ON')) {
    client.replyMode = REPLY_ON;
    out.ok();
  } else if (request.is(2, 'OFF')) client.replyMode = REPLY_OFF;
  else if (!request.is(2, 'SKIP')) failSyntax();
  else if (client.replyMode !== REPLY_OFF) client.replyMode = REPLY_SKIP_NEXT;
}

function setinfo(client: Client, request: Request, out: ReplyWriter): void {
  const option = request.text(2);
  const value = request.text(3);
  const isName = request.is(2, 'LIB-NAME');
  if (!isName && !request.is(2, 'LIB-VER')) fail(`Unrecognized option '${option}'`);
  if (!isCleanName(value)) fail(`${option} cannot contain spaces, newlines or special characters.`);
  if (isName) client.libraryName = value;
  else client.libraryVersion = value;
  out.ok();
}

export function clientHandlers(server: Server): Handlers {
  /** The clients CLIENT LIST is asked for: all, those of a type, or those with the ids given. */
  function listed(request: Request): Client[] {
    const all = server.clients();
    if (request.count === 2) return all;
    if (request.count === 4 && request.is(2, 'TYPE')) return isOwnType(request.text(3)) ? all : [];
    if (request.count < 4 || !request.is(2, 'ID')) failSyntax();
    const chosen: Client[] = [];
    for (let i = 3; i < request.count; i++) {
      const id = request.integer(i);
      if (id === undefined) fail('Invalid client ID');
      const found = all.find((client) => client.id === id);
      if (found !== undefined) chosen.push(found);
    }
    return chosen;
  }

  function kill(client: Client, request: Request, out: ReplyWriter): void {
    const filter = parseKillFilter(request);
    let killed = 0;
    for (const other of server.clients()) {
      if (!isWanted(filter, other) || (other === client && filter.isSkipMe)) continue;
      killed++;
      if (other === client) client.link.closeAfterReply();
      else other.link.destroy();
    }
    if (request.count > 3) out.integer(killed);
    else if (killed > 0) out.ok();
    else throw new CommandError('ERR No such client');
  }

  return {
    'client|id': (client, _request, out) => out.integer(client.id),
    'client|getname': (client, _request, out) => (client.name === '' ? out.nil() : out.bulkText(client.name)),
    'client|setname': (client, request, out) => {
      setName(client, request.text(2));
      out.ok();
    },
    'client|setinfo': setinfo,
    'client|list': (_client, request, out) => {
      const nowMs = Date.now();
      const lines = listed(request).map((other) => `${describeClient(other, nowMs)}\n`);
      out.verbatim(lines.join(''));
    },
    'client|info': (client, _request, out) => out.verbatim(`${describeClient(client, Date.now())}\n`),
    'client|kill': kill,
    'client|no-evict': (client, request, out) => {
      client.isNoEvict = onOff(request, 2);
      out.ok();
    },
    'client|no-touch': (client, request, out) => {
      client.isNoTouch = onOff(request, 2);
      out.ok();
    },
    'client|reply': reply,
    'client|help': (_client, _request, out) => replyHelp('CLIENT', HELP, out),
  };
}
