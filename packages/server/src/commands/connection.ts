/** The connection itself: AUTH, HELLO, PING, ECHO, SELECT, QUIT, RESET. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Client, REPLY_ON } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { wrongArity } from '../dispatcher.ts';
import { CommandError, fail, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import type { Server } from '../server.ts';
import { REDIS_VERSION } from '../version.ts';
import { databaseIndex } from './keys.ts';

const WRONGPASS = 'WRONGPASS invalid username-password pair or user is disabled.';

/** Client names and library names: printable ASCII without blanks. */
export function isCleanName(name: string): boolean {
  return /^[!-~]*$/.test(name);
}

export function setName(client: Client, name: string): void {
  if (!isCleanName(name)) fail('Client names cannot contain spaces, newlines or special characters.');
  client.name = name;
}

/** Compares in a time that tells nothing about either. */
function isSameSecret(given: Uint8Array, expected: string): boolean {
  const digest = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest();
  return timingSafeEqual(digest(given), digest(Buffer.from(expected, 'latin1')));
}

/** Only the user 'default' exists; without a password configured any will do. */
function authenticate(server: Server, client: Client, user: string, password: Uint8Array): void {
  const { requirepass } = server.config;
  const isRight = user === 'default' && (requirepass === '' || isSameSecret(password, requirepass));
  if (!isRight) throw new CommandError(WRONGPASS);
  client.isAuthenticated = true;
}

export function connectionHandlers(server: Server): Handlers {
  function auth(client: Client, request: Request, out: ReplyWriter): void {
    if (request.count > 3) failSyntax();
    if (request.count === 2 && server.config.requirepass === '') {
      fail(
        'AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
      );
    }
    const user = request.count === 3 ? request.text(1) : 'default';
    authenticate(server, client, user, request.arg(request.count - 1));
    out.ok();
  }

  function hello(client: Client, request: Request, out: ReplyWriter): void {
    const version = request.count > 1 ? request.integer(1) : client.resp;
    if (version === undefined) fail('Protocol version is not an integer or out of range');
    if (version !== 2 && version !== 3) throw new CommandError('NOPROTO unsupported protocol version');
    for (let i = 2; i < request.count; i++) {
      const more = request.count - 1 - i;
      if (request.is(i, 'AUTH') && more >= 2) {
        authenticate(server, client, request.text(i + 1), request.arg(i + 2));
        i += 2;
      } else if (request.is(i, 'SETNAME') && more >= 1) {
        setName(client, request.text(++i));
      } else {
        fail(`Syntax error in HELLO option '${request.text(i)}'`);
      }
    }
    if (!client.isAuthenticated) {
      throw new CommandError(
        'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option ' +
          'can be used to authenticate the client and select the RESP protocol version at the same time',
      );
    }
    client.resp = version;
    out.resp = version;
    replyHello(client, out);
  }

  function reset(client: Client, _request: Request, out: ReplyWriter): void {
    client.endTransaction();
    client.db = server.keyspace.database(0);
    client.name = '';
    client.resp = 2;
    out.resp = 2;
    client.isNoEvict = false;
    client.isNoTouch = false;
    client.replyMode = REPLY_ON;
    client.isAuthenticated = server.config.requirepass === '';
    out.simple('RESET');
  }

  return {
    auth,
    hello,
    reset,
    select: (client, request, out) => {
      client.db = server.keyspace.database(databaseIndex(request, 1, server.keyspace.count));
      out.ok();
    },
    ping,
    echo: (_client, request, out) => out.bulk(request.arg(1)),
    quit: (client, _request, out) => {
      out.ok();
      client.link.closeAfterReply();
    },
  };
}

function ping(_client: Client, request: Request, out: ReplyWriter): void {
  if (request.count > 2) throw new CommandError(wrongArity('ping'));
  if (request.count === 1) out.simple('PONG');
  else out.bulk(request.arg(1));
}

function replyHello(client: Client, out: ReplyWriter): void {
  out.map(7);
  out.bulkText('server');
  out.bulkText('redis');
  out.bulkText('version');
  out.bulkText(REDIS_VERSION);
  out.bulkText('proto');
  out.integer(client.resp);
  out.bulkText('id');
  out.integer(client.id);
  out.bulkText('mode');
  out.bulkText('standalone');
  out.bulkText('role');
  out.bulkText('master');
  out.bulkText('modules');
  out.array(0);
}
