/** The server as a library: `Server.listen({ store })` on any store of byte maps. */
export { Server, type ServerOptions } from './server.ts';
export type { Store } from './store.ts';
