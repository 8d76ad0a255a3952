/** Rows, ratios and the table of `lab s1`, with the mail's figures beside ours. */
import { COMPACTION_POLICIES, type CompactionPolicy } from '../quire.ts';
import type { Results, Table } from '../report.ts';
import { pairedRatio, rounded, spreadOf } from '../stats.ts';
import type { S1Result } from './s1-child.ts';

/** The mail's transactions per second, of its 96-processor machine. */
const MAIL_TPS: Readonly<Record<CompactionPolicy, number | null>> = {
  direct: 101_979.75,
  caller: 141_194.2,
  split: 139_200.61,
  light: 143_863.82,
  background: 134_278.47,
  stocked: null,
};
/** From this order up an allocation is costly, as Linux calls it (PAGE_ALLOC_COSTLY_ORDER 3 is the last that is not). */
const LARGE_ORDER = 4;
/** Results of the rounds, by policy. */
export type Samples = Map<CompactionPolicy, S1Result[]>;

export function report(samples: Samples, results: Results): void {
  const direct = tpsOf(samples, 'direct');
  for (const [policy, runs] of samples) {
    const tps = tpsOf(samples, policy);
    const mail = MAIL_TPS[policy] === null ? {} : { mailTps: MAIL_TPS[policy], mailPerCent: mailPerCent(policy) };
    results.measured(policy, 'tps', '1/s', tps, { perCentOverDirect: perCentOver(tps, direct), ...mail });
    results.measured(
      policy,
      'latency_p99',
      'ms',
      runs.map(({ p99Ms }) => p99Ms),
    );
    results.measured(
      policy,
      'latency_max',
      'ms',
      runs.map(({ maxMs }) => maxMs),
    );
    results.measured(policy, 'large_folio_share', '', runs.map(largeShare), { meanOrder: rounded(meanOrder(runs)) });
    const waited = rounded(spreadOf(runs.map(({ waitedShare }) => waitedShare)).median);
    results.measured(
      policy,
      'cpu_of_clients',
      'µs/tx',
      runs.map(({ clientCpuUs }) => clientCpuUs),
      { waitedShare: waited },
    );
    results.measured(
      policy,
      'cpu_of_all_threads',
      'µs/tx',
      runs.map(({ totalCpuUs }) => totalCpuUs),
    );
    const counted = (name: string) => spreadOf(runs.map(({ counters }) => counters[name])).median;
    results.measured(
      policy,
      'compact_stall',
      '',
      runs.map(({ counters }) => counters['compact_stall']),
    );
    const names = Object.keys(runs[0].counters);
    results.facts(policy, 'counters', Object.fromEntries(names.map((name) => [name, counted(name)])));
  }
  const ratio = (name: string, policy: CompactionPolicy, target: object) =>
    results.ratio(name, pairedRatio(tpsOf(samples, policy), direct), target);
  ratio('light_vs_direct', 'light', { atLeast: 1.25 });
  ratio('background_vs_direct', 'background', { atLeast: 1.25 });
  const stocked = tpsOf(samples, 'stocked');
  const best = bestOf(samples);
  results.ratio('stocked_vs_best', pairedRatio(stocked, tpsOf(samples, best)), { atLeast: 1 });
  results.facts('stocked', 'best_of_the_others', { policy: best });
  const shares = (policy: CompactionPolicy) => (samples.get(policy) ?? []).map(largeShare);
  if (shares('light').every((share) => share > 0)) {
    results.ratio('stocked_large_share_vs_light', pairedRatio(shares('stocked'), shares('light')), { atLeast: 1 });
  }
}

function tpsOf(samples: Samples, policy: CompactionPolicy): number[] {
  return (samples.get(policy) ?? []).map(({ tps }) => tps);
}

/** The fastest of the mail's five, by its median: one choice for all rounds, so that noise does not choose anew in each. */
function bestOf(samples: Samples): CompactionPolicy {
  const others = COMPACTION_POLICIES.filter((policy) => policy !== 'stocked');
  const median = (policy: CompactionPolicy) => spreadOf(tpsOf(samples, policy)).median;
  return others.reduce((best, policy) => (median(policy) > median(best) ? policy : best));
}

/** Share of the WAL's pages that lay in folios of a costly order when they had just been written. */
function largeShare({ walPagesByOrder }: S1Result): number {
  const total = walPagesByOrder.reduce((sum, pages) => sum + pages, 0);
  return walPagesByOrder.slice(LARGE_ORDER, 10).reduce((sum, pages) => sum + pages, 0) / total;
}

/** Mean order of the folios that the WAL's pages lay in, weighted by pages. */
function meanOrder(runs: readonly S1Result[]): number {
  let weighted = 0;
  let pages = 0;
  for (const { walPagesByOrder } of runs) {
    for (let order = 0; order < 10; order += 1) {
      weighted += walPagesByOrder[order] * order;
      pages += walPagesByOrder[order];
    }
  }
  return weighted / pages;
}

function perCentOver(tps: readonly number[], direct: readonly number[]): number {
  return Math.round((pairedRatio(tps, direct).median - 1) * 10_000) / 100;
}

function mailPerCent(policy: CompactionPolicy): number | null {
  const tps = MAIL_TPS[policy];
  return tps === null || MAIL_TPS.direct === null ? null : Math.round((tps / MAIL_TPS.direct - 1) * 10_000) / 100;
}

export function lineOf({ tps, p99Ms, maxMs, counters, ...rest }: S1Result): string {
  const share = largeShare({ tps, p99Ms, maxMs, counters, ...rest });
  const stalls = counters['compact_stall'];
  return `${tps.toFixed(0)} tps, p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(1)} ms, ${stalls} stalls, ${(share * 100).toFixed(0)} % large, ${rest.clientCpuUs.toFixed(1)} of ${rest.totalCpuUs.toFixed(1)} µs/tx, waited ${(rest.waitedShare * 100).toFixed(0)} %`;
}

/** As the mail prints it: a line for each policy. */
export function tableOf(samples: Samples): Table {
  const direct = tpsOf(samples, 'direct');
  const median = (values: readonly number[]) => rounded(spreadOf(values).median);
  const signed = (value: number | null) => (value === null ? '' : `${value > 0 ? '+' : ''}${value} %`);
  return {
    title: 'Medians of the rounds; beside them what the mail measured on another machine',
    head: [
      'policy',
      'TPS',
      'vs direct',
      'p99 ms',
      'max ms',
      'client CPU µs/tx',
      'all CPU µs/tx',
      'compact_stall',
      'large folios',
      'mail: TPS',
      'mail: vs direct',
    ],
    body: [...samples].map(([policy, runs]) => {
      const tps = tpsOf(samples, policy);
      return [
        policy,
        spreadOf(tps).median.toFixed(0),
        policy === 'direct' ? '' : signed(perCentOver(tps, direct)),
        `${median(runs.map(({ p99Ms }) => p99Ms))}`,
        `${median(runs.map(({ maxMs }) => maxMs))}`,
        `${median(runs.map(({ clientCpuUs }) => clientCpuUs))}`,
        `${median(runs.map(({ totalCpuUs }) => totalCpuUs))}`,
        `${median(runs.map(({ counters }) => counters['compact_stall']))}`,
        `${(spreadOf(runs.map(largeShare)).median * 100).toFixed(1)} %`,
        `${MAIL_TPS[policy] ?? ''}`,
        policy === 'direct' ? '' : signed(mailPerCent(policy)),
      ];
    }),
  };
}
