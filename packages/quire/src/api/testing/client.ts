/** A worker thread attached to an instance, which runs pieces of code sent to it. */
import { Worker } from 'node:worker_threads';
import type { QuireHandle } from '../quire.ts';

export interface Client {
  /** Runs `body` (with `quire`, `state`, `makePage` in scope) in the worker; resolves with what it returns, or rejects with an error of its code. */
  run(body: string): Promise<unknown>;
  end(): Promise<void>;
  /** Ends the worker, however far it is: a test that failed leaves none behind. */
  [Symbol.asyncDispose](): Promise<void>;
}

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly code?: string;
  readonly message?: string;
}

export async function startClient(handle: QuireHandle): Promise<Client> {
  const urls = ['../quire.js', '../../testing/page-data.js'].map((path) =>
    JSON.stringify(new URL(path, import.meta.url).href),
  );
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    (async () => {
      const { Quire } = await import(${urls[0]});
      const { makePage } = await import(${urls[1]});
      const state = {};
      const quire = Quire.attach(workerData);
      parentPort.on('message', async ({ id, body }) => {
        if (body === undefined) return parentPort.close();
        try {
          const run = new Function('quire', 'state', 'makePage', 'Quire', 'handle', 'return (async () => {' + body + '})()');
          parentPort.postMessage({ id, value: await run(quire, state, makePage, Quire, workerData) });
        } catch (error) {
          parentPort.postMessage({ id, code: error.code, message: String(error.stack) });
        }
      });
      parentPort.postMessage({ id: 0 });
    })();`;
  const worker = new Worker(code, { eval: true, workerData: handle, execArgv: [] });
  const waiting = new Map<number, (message: Reply) => void>();
  let id = 0;
  worker.on('message', (message: Reply) => waiting.get(message.id)?.(message));
  const exited = new Promise<void>((resolve) => worker.on('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    waiting.set(0, () => resolve());
    worker.on('error', reject);
  });
  return {
    run: (body) =>
      new Promise((resolve, reject) => {
        waiting.set(++id, ({ value, code: failed, message }) =>
          message === undefined ? resolve(value) : reject(Object.assign(new Error(message), { code: failed })),
        );
        worker.postMessage({ id, body });
      }),
    end: () => {
      worker.postMessage({ id: ++id });
      return exited;
    },
    [Symbol.asyncDispose]: async () => {
      await worker.terminate();
    },
  };
}
