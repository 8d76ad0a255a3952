/**
 * `lab s4`, table loads: how many words of tables a fault and a free load, with the layer and without. They are counted, not
 * derived: s4/load-child.ts puts a counting array in front of a node's words and lets pages be faulted in and freed.
 */
import { startNodeChild } from '../child.ts';
import { builtFile } from '../paths.ts';
import type { Results } from '../report.ts';
import type { LoadChildArgs, LoadCounts } from './load-child.ts';
import { DIRECT, VIRTUAL } from './pairs.ts';

export async function measureTableLoads(results: Results): Promise<void> {
  for (const [column, virtual] of [
    [VIRTUAL, true],
    [DIRECT, false],
  ] as const) {
    const args: LoadChildArgs = { virtual };
    const child = startNodeChild(builtFile('s4/load-child.js'), args);
    try {
      await child.ready(column);
      for (const phase of ['read', 'fault', 'free']) {
        const { pages, ...loads } = await child.phase<LoadCounts>(phase);
        const perPage = Object.entries(loads).map(([name, count]) => [name, Number((count / pages).toFixed(2))]);
        results.facts(column, `loads_per_${phase}`, Object.fromEntries(perPage));
      }
      await child.end();
    } finally {
      await child.kill();
    }
  }
}
