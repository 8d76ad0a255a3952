import { workerData } from 'node:worker_threads';
import { StripeLocks } from '../stripe-locks.ts';

/** Adds 1 to a plain word 20,000 times, each time under stripe lock 7. */
const { control, counter, threadId } = workerData as { control: Int32Array; counter: Int32Array; threadId: number };
const locks = new StripeLocks(control, threadId, 10_000);
for (let step = 0; step < 20_000; step++) {
  locks.lockStripe(7);
  counter[0]++;
  locks.unlockStripe(7);
}
