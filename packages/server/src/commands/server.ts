/** TIME and SHUTDOWN. */
import type { Handlers } from '../command-table.ts';
import { fail, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { Server } from '../server.ts';

interface ShutdownOptions {
  isSave: boolean;
  isAbort: boolean;
}

/** NOW and FORCE mean nothing here: there is no replica to wait for and nothing to save. */
function parseShutdown(request: Request): ShutdownOptions {
  let isSave = false;
  let isNoSave = false;
  let isAbort = false;
  let isOther = false;
  for (let i = 1; i < request.count; i++) {
    if (request.is(i, 'SAVE')) isSave = true;
    else if (request.is(i, 'NOSAVE')) isNoSave = true;
    else if (request.is(i, 'NOW') || request.is(i, 'FORCE')) isOther = true;
    else if (request.is(i, 'ABORT')) isAbort = true;
    else failSyntax();
  }
  if ((isAbort && (isSave || isNoSave || isOther)) || (isSave && isNoSave)) failSyntax();
  return { isSave, isAbort };
}

export function serverHandlers(server: Server): Handlers {
  return {
    time: (_client, _request, out) => {
      const nowUs = Math.round((performance.timeOrigin + performance.now()) * 1000);
      out.array(2);
      out.bulkText(String(Math.floor(nowUs / 1e6)));
      out.bulkText(String(nowUs % 1e6));
    },
    shutdown: (_client, request) => {
      const { isSave, isAbort } = parseShutdown(request);
      if (isAbort) fail('No shutdown in progress.');
      if (isSave) fail('Errors trying to SHUTDOWN. Check logs.');
      server.shutdown();
    },
  };
}
