/** `node dist/testing/serve-memory.js PORT`: the server on in-heap maps, for profiling it without Quire. */
import { Server } from '../server.ts';
import { MemoryStore } from './memory-store.ts';

const server = await Server.listen({
  store: new MemoryStore(),
  port: Number(process.argv[2] ?? '0'),
  onShutdown: () => process.exit(0),
});
process.stdout.write(`${server.addresses().join(' ')}\n`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void server.close().then(() => process.exit(0)));
}
