/**
 * Two worker threads and the main thread on one map, by its name. The values are in shared memory: nothing is posted but the handle.
 *
 *   node examples/workers.mjs
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Quire } from 'quire';

const WORKERS = 2;
const KEYS_EACH = 5_000;
const MAP = { name: 'shared', value: 'json' };

if (isMainThread) await main();
else await work(workerData);

async function main() {
  const quire = await Quire.open({ budget: '32MiB' });
  // The map lives as long as somebody has it open: the main thread opens it first and closes it last.
  const map = quire.map(MAP);
  map.set('from main', { hello: 'workers' });

  const counts = await Promise.all(Array.from({ length: WORKERS }, (_, index) => run(quire.handle, index)));
  console.log('written by each worker:', counts);

  assert.equal(map.size, WORKERS * KEYS_EACH + 1);
  for (let index = 0; index < WORKERS; index++) {
    for (let i = 0; i < KEYS_EACH; i++) assert.deepEqual(map.get(`${index}:${i}`), { worker: index, square: i * i });
  }
  assert.ok(map.isValid());
  console.log(`${map.size} entries, all as they were written`);

  map.close();
  await quire.close();
}

async function run(handle, index) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { handle, index } });
  const exited = once(worker, 'exit');
  const [count] = await once(worker, 'message');
  await exited;
  return count;
}

async function work({ handle, index }) {
  const quire = Quire.attach(handle);
  const map = quire.map(MAP);
  assert.deepEqual(map.get('from main'), { hello: 'workers' });
  for (let i = 0; i < KEYS_EACH; i++) map.set(`${index}:${i}`, { worker: index, square: i * i });
  map.close();
  await quire.close();
  parentPort.postMessage(KEYS_EACH);
}
