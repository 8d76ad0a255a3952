/** Every handler by command name, as the command table wants them. */
import type { Handlers } from '../command-table.ts';
import type { Server } from '../server.ts';
import { bitopHandlers } from './bitop.ts';
import { bitHandlers } from './bits.ts';
import { clientHandlers } from './client.ts';
import { commandHandlers } from './command.ts';
import { configHandlers } from './config.ts';
import { connectionHandlers } from './connection.ts';
import { counterHandlers } from './counters.ts';
import { expireHandlers } from './expire.ts';
import { infoHandlers } from './info.ts';
import { keyHandlers } from './keys.ts';
import { lcsHandlers } from './lcs.ts';
import { memoryHandlers } from './memory.ts';
import { objectHandlers } from './object.ts';
import { scanHandlers } from './scan.ts';
import { serverHandlers } from './server.ts';
import { stringRangeHandlers } from './string-ranges.ts';
import { stringHandlers } from './strings.ts';
import { transactionHandlers } from './transactions.ts';

export function allHandlers(server: Server): Handlers {
  return {
    ...stringHandlers,
    ...stringRangeHandlers,
    ...counterHandlers,
    ...bitHandlers,
    ...bitopHandlers,
    ...lcsHandlers,
    ...expireHandlers,
    ...scanHandlers,
    ...objectHandlers,
    ...keyHandlers(server),
    ...connectionHandlers(server),
    ...clientHandlers(server),
    ...commandHandlers(server),
    ...configHandlers(server),
    ...infoHandlers(server),
    ...memoryHandlers(server),
    ...serverHandlers(server),
    ...transactionHandlers(server),
  };
}
