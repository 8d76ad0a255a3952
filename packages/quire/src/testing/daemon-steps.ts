/** Everything reclaim does, as steps that a model test takes in any order. */
import * as L from '../arena/layout.ts';
import { Kcompressd } from '../daemons/kcompressd.ts';
import { Kcopyd } from '../daemons/kcopyd.ts';
import { Kswapd } from '../daemons/kswapd.ts';
import { CopyAhead } from '../swap/copy-ahead.ts';
import { Demoter } from '../swap/demoter.ts';
import { FileCleaner } from '../swap/file-cleaner.ts';
import { compactPool } from '../swap/pool-compactor.ts';
import type { TestThread } from './test-instance.ts';

export function daemonsOf(thread: TestThread): { step(): boolean }[] {
  return thread.memory.reclaimers.flatMap((reclaimer) => {
    const { node } = reclaimer;
    const { device } = thread.memory;
    const ahead = new CopyAhead(node);
    const steps = [
      () => reclaimer.round(true, false),
      () => reclaimer.round(false, true),
      () => reclaimer.drainRing(8, true) > 0,
      () => compactPool(node, 64) > 0,
      () => ahead.copySome(),
      () => node.words[L.H_KSWAPD_WAKE] !== 0,
    ].map((step) => ({ step }));
    const machines = [new Kswapd(reclaimer), new Kcompressd(reclaimer), new Kcopyd(node)];
    if (device === undefined) return [...steps, ...machines];
    const demoter = new Demoter(node, device);
    const cleaner = new FileCleaner(node, device);
    return [...steps, ...machines, { step: () => demoter.demote() > 0 }, { step: () => cleaner.clean() }];
  });
}
