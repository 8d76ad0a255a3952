/** A worker that attaches to an instance, does something and never leaves: the tests end it. */
import { Worker } from 'node:worker_threads';
import type { QuireHandle } from '../quire.ts';

/**
 * Runs `body` (with `quire`, `makePage`, `path` and `say` in scope) in a worker; resolves when it calls `say()`, and again is
 * ignored. Rejects when it fails before.
 */
export async function startVictim(handle: QuireHandle, body: string, path = ''): Promise<Worker> {
  const [quireUrl, pageUrl] = ['../quire.js', '../../testing/page-data.js'].map((file) =>
    JSON.stringify(new URL(file, import.meta.url).href),
  );
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    (async () => {
      const { Quire } = await import(${quireUrl});
      const { makePage } = await import(${pageUrl});
      const { handle, path } = workerData;
      const quire = Quire.attach(handle);
      const say = () => parentPort.postMessage('said');
      // Alive until somebody ends it.
      setInterval(() => undefined, 1000);
      ${body}
    })();`;
  const worker = new Worker(code, { eval: true, workerData: { handle, path }, execArgv: [] });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the victim ended before it said anything')));
  });
  worker.on('error', () => undefined);
  return worker;
}
