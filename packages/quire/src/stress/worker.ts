/**
 * One attached thread of a stress run: loads its share, then works until it is told to stop or finds something wrong.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Quire } from '../api/quire.ts';
import { QuireError } from '../base/errors.ts';
import { Random } from '../simulator/random.ts';
import { CellWork } from './cell-work.ts';
import { FileCells } from './file-cells.ts';
import { KeyWork } from './key-work.ts';
import { SharedState, type WorkerReport, type WorkerStart } from './plan.ts';
import { Values } from './values.ts';

const OPERATIONS_PER_TURN = 32;

const { plan, index, handle, shared: buffer } = workerData as WorkerStart;
const counts: Record<string, number> = {
  cell_reads: 0,
  cell_writes: 0,
  cell_pins: 0,
  pins_refused: 0,
  key_reads: 0,
  key_writes: 0,
  iterations: 0,
  swap_full: 0,
};
const shared = new SharedState(plan, buffer);
const random = new Random(plan.seed * 1000 + index);
const values = new Values(plan.seed);

async function main(): Promise<void> {
  await using quire = Quire.attach(handle);
  const cells = new CellWork(quire, plan, shared, values, random, counts);
  const keys = new KeyWork(quire, plan, shared, values, random, counts);
  const fileCells = await FileCells.open(quire, plan, shared, values, random, counts);
  // An area for a thread is a contiguous block: there is none any more once the memory is full.
  Atomics.add(shared.control, 2, 1);
  while (Atomics.load(shared.control, 2) < plan.workers && Atomics.load(shared.control, 0) !== 2) await sleep(5);
  for (let cell = index; cell < plan.cells; cell += plan.workers) cells.write(cell);
  for (let cell = index; cell < plan.fileCells; cell += plan.workers) fileCells.write(cell);
  for (let key = index; key < plan.keys; key += plan.workers) keys.write(key);
  Atomics.add(shared.control, 1, 1);
  Atomics.notify(shared.control, 1);
  // What nobody has written yet has no version to be compared with.
  while (Atomics.load(shared.control, 1) < plan.workers && Atomics.load(shared.control, 0) !== 2) await sleep(5);
  while (Atomics.load(shared.control, 0) !== 2) {
    for (let i = 0; i < OPERATIONS_PER_TURN; i++) await attempt(random.pick([cells, keys, fileCells, fileCells]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await fileCells.close();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** With every tier full an operation changes nothing and says so. */
async function attempt(work: { step(): Promise<void> }): Promise<void> {
  try {
    await work.step();
  } catch (error) {
    if (!(error instanceof QuireError) || error.code !== 'ERR_QUIRE_SWAP_FULL') throw error;
    counts['swap_full']++;
  }
}

let failure: string | undefined;
try {
  await main();
} catch (error) {
  failure =
    error instanceof Error
      ? `${error.stack}${error.cause instanceof Error ? `\n  cause: ${error.cause.stack}` : ''}`
      : String(error);
  Atomics.store(shared.control, 0, 2);
}
parentPort?.postMessage({ index, counts, failure } satisfies WorkerReport);
