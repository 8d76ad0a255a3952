/**
 * MULTI, EXEC, DISCARD, WATCH, UNWATCH. Between MULTI and EXEC commands are checked and queued; EXEC runs them with nothing in
 * between. It refuses when one could not be queued (EXECABORT) and answers nil when a watched key has changed, or has expired.
 */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { CommandError, fail } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import type { Server } from '../server.ts';

function multi(client: Client, _request: Request, out: ReplyWriter): void {
  if (client.queue !== undefined) fail('MULTI calls can not be nested');
  client.beginTransaction();
  out.ok();
}

function discard(client: Client, _request: Request, out: ReplyWriter): void {
  if (client.queue === undefined) fail('DISCARD without MULTI');
  client.endTransaction();
  out.ok();
}

function watch(client: Client, request: Request, out: ReplyWriter): void {
  if (client.queue !== undefined) fail('WATCH inside MULTI is not allowed');
  if (!client.isDirty) for (let i = 1; i < request.count; i++) client.watch(request.text(i));
  out.ok();
}

function unwatch(client: Client, _request: Request, out: ReplyWriter): void {
  client.unwatch();
  out.ok();
}

export function transactionHandlers(server: Server): Handlers {
  function exec(client: Client, _request: Request, out: ReplyWriter): void {
    const { queue } = client;
    if (queue === undefined) fail('EXEC without MULTI');
    const isAborted = client.isAborted;
    const isDirty = client.isDirty || client.hasLostWatchedKey();
    client.endTransaction();
    if (isAborted) throw new CommandError('EXECABORT Transaction discarded because of previous errors.');
    if (isDirty) {
      out.nilArray();
      return;
    }
    out.array(queue.length);
    for (const { command, request } of queue) server.dispatcher.call(client, command, request);
  }

  return { multi, exec, discard, watch, unwatch };
}
