/** Loading, interleaved measuring and reporting of GET rates, the same for every server and situation. */
import type { Run } from '../benchmark.ts';
import type { Cell, Results } from '../report.ts';
import { Xorshift32 } from '../rng.ts';
import type { TextValues } from '../text-values.ts';
import { type BenchmarkFigures, benchmarkGets } from './redis-benchmark.ts';
import type { ServerProcess } from './servers.ts';

/** What the servers hold and are asked. */
export interface Load {
  readonly values: TextValues;
  readonly keys: number;
  readonly dataBytes: number;
  /** GETs of one repetition. */
  readonly requests: number;
  readonly repetitions: number;
}

const VERIFY_KEYS = 8_192;
const SEED = 20_240_602;

/** SETs every key and GETs a sample back, compared byte by byte: wrong values are found before anything is timed. */
export async function loadInto(server: ServerProcess, load: Load): Promise<void> {
  await server.client.load(load.values, load.keys);
  const rng = new Xorshift32(SEED);
  await server.client.verify(
    load.values,
    Array.from({ length: VERIFY_KEYS }, () => rng.below(load.keys)),
  );
}

/** One list of figures per server, in the order given; the servers take turns, so a slow stretch hits all of them. */
export async function interleaved(
  servers: readonly ServerProcess[],
  load: Load,
  run: Run,
): Promise<BenchmarkFigures[][]> {
  const figures: BenchmarkFigures[][] = servers.map(() => []);
  for (let repetition = 1; repetition <= load.repetitions; repetition += 1) {
    if (repetition > 1 && !run.hasTime()) break;
    for (const [index, server] of servers.entries()) {
      figures[index].push(await benchmarkGets(server.port, load.keys, load.requests));
    }
    const rates = servers.map(
      (server, index) => `${server.name} ${Math.round(figures[index].at(-1)?.requestsPerSecond ?? 0)}/s`,
    );
    run.progress(`GET ${repetition}/${load.repetitions}: ${rates.join(', ')}`);
  }
  return figures;
}

export function reportRates(
  results: Results,
  metric: string,
  column: string,
  figures: readonly BenchmarkFigures[],
  more: Record<string, Cell>,
): void {
  results.measured(
    column,
    metric,
    'req/s',
    figures.map((figure) => figure.requestsPerSecond),
    more,
  );
  results.measured(
    column,
    `${metric}_p99`,
    'ms',
    figures.map((figure) => figure.p99Ms),
  );
}
