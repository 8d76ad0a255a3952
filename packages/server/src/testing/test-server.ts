/** A server on in-heap maps with a clock that tests set, on a free loopback port. */
import type { TestContext } from 'node:test';
import { Server, type ServerOptions } from '../server.ts';
import { MemoryStore } from './memory-store.ts';
import { TestClient } from './test-client.ts';

export interface TestServer {
  server: Server;
  store: MemoryStore;
  /** What `now()` of the maps says; starts at the real time. */
  clock: { nowMs: number };
  logged: string[];
  /** A new client; closed with the test. */
  client(): Promise<TestClient>;
}

/** Starts a server that ends with the test. */
export async function startTestServer(context: TestContext, options: Partial<ServerOptions> = {}): Promise<TestServer> {
  const clock = { nowMs: Date.now() };
  const store = new MemoryStore(256 * 1024 * 1024, () => clock.nowMs);
  const logged: string[] = [];
  const server = await Server.listen({ store, port: 0, log: (text) => logged.push(text), ...options });
  const clients: TestClient[] = [];
  context.after(async () => {
    for (const client of clients) client.close();
    await server.close();
  });
  const client = async () => {
    const made = await TestClient.connect(server.port);
    clients.push(made);
    return made;
  };
  return { server, store, clock, logged, client };
}
