/** One thread of the Quire column: attached to the child's instance, it writes and frees its share of the region. */
import { parentPort, workerData } from 'node:worker_threads';
import { WrongAnswer } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { attachQuire } from '../quire.ts';
import { serveCrew } from './crew.ts';
import { type QuireWorkerData, REGION } from './quire-worker-data.ts';
import { verifyShare, writeShare } from './share.ts';

const { handle, control, regionBytes, share } = workerData as QuireWorkerData;
const quire = await attachQuire(handle);
const region = quire.region({ size: regionBytes, name: REGION });
parentPort?.postMessage('ready');
serveCrew(control, (phase) => {
  if (phase === 'write') writeShare(region, share);
  else if (phase === 'free') region.discard(share.firstPage * PAGE_BYTES, share.pages * PAGE_BYTES);
  else if (phase === 'verify') {
    const wrong = verifyShare(region, share);
    if (wrong >= 0) throw new WrongAnswer(`page ${wrong} of the share at ${share.firstPage} is not what was written`);
  }
});
await quire.close();
