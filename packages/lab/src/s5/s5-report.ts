/** What `lab s5` prints: the rates and gains beside the mail's, where the processor went, what the writer waited for. */
import type { Results, Table } from '../report.ts';
import { pairedRatio, rounded, spreadOf } from '../stats.ts';
import type { S5Data } from './page-source.ts';
import type { ReclaimSplit } from './reclaim-door.ts';
import type { Variant } from './s5.ts';
import type { S5Codec, S5Reclaimed, S5Written } from './s5-child.ts';

export interface Samples {
  /** By the name of the variant. */
  readonly reclaimed: Map<string, S5Reclaimed[]>;
  readonly written: Map<string, S5Written[]>;
  /** By codec and data. */
  readonly splits: Map<string, ReclaimSplit>;
  /** What as many processes as there are cores gained over one, sharing nothing; one figure a round. */
  readonly limits: number[];
}

/** Over 260 % more pages a second, on handhelds with zram. */
const MAIL_GAIN = 3.6;
/** What issue 4 asks for on two cores. */
const GAIN_WANTED = 1.8;

export function variantName({ codec, data, kcompressd }: Variant): string {
  return `${codec} ${data}, kswapd ${kcompressd === 0 ? 'alone' : `+ ${kcompressd}`}`;
}

const perSecond = ({ pages, ms }: { pages: number; ms: number }) => (pages / ms) * 1000;

interface RateRow extends Variant {
  readonly name: string;
  readonly all: readonly S5Reclaimed[];
}

function rateRows(samples: Samples): RateRow[] {
  const rows: RateRow[] = [];
  for (const [name, all] of samples.reclaimed) {
    const [codec, data] = name.split(/[ ,]/) as [S5Codec, S5Data];
    const plus = name.lastIndexOf('+');
    rows.push({ name, codec, data, kcompressd: plus === -1 ? 0 : Number(name.slice(plus + 1)), all });
  }
  return rows.sort((a, b) => order(a) - order(b));
}

function order({ codec, data, kcompressd }: Variant): number {
  return (codec === 'zstd' ? 200 : 0) + (data === 'random' ? 100 : 0) + kcompressd;
}

const median = (values: readonly number[]) => spreadOf(values).median;

/**
 * Rates, gains and what was in flight, by Little's law how long: a frame is free when its page is published, no second scan
 * comes by. `kcompressd_gain_…`: with one thread a core, kswapd counted.
 */
export function describeRates(results: Results, samples: Samples, cores: number): Table {
  const rows = rateRows(samples);
  const body: string[][] = [];
  if (samples.limits.length > 0) results.ratio('limit_of_this_machine', spreadOf(samples.limits));
  for (const row of rows) {
    const { all, codec, data, kcompressd } = row;
    const rates = all.map(perSecond);
    const alone = rows.find((other) => other.codec === codec && other.data === data && other.kcompressd === 0);
    const gain = pairedRatio(rates, (alone ?? row).all.map(perSecond));
    // No more threads run at once than there are cores; kswapd compresses too when the ring is full.
    const limit = Math.min(cores, kcompressd + 1);
    const frees = median(all.map((each) => each.pgstealAnon / each.pages));
    results.measured(row.name, data === 'text' ? 'pgsteal_anon' : 'pages tried', 'pages/s', rates, {
      gainLimitOfCores: limit,
      framesFreedAPage: rounded(frees),
    });
    if (kcompressd > 0) {
      const isHeadline = data === 'text' && kcompressd === Math.max(1, cores - 1);
      const name = isHeadline ? `kcompressd_gain_${codec}` : `gain_${codec}_${data}_${kcompressd}`;
      results.ratio(name, gain, isHeadline && codec === 'lz4' ? { atLeast: GAIN_WANTED } : {});
      if (isHeadline && samples.limits.length > 0) {
        results.ratio(`${name}_of_the_limit`, pairedRatio(gainsOf(row, alone ?? row), samples.limits));
      }
    }
    body.push(rateCells(row, alone ?? row, rates, gain.median, limit));
  }
  return {
    title: `Pages a second through reclaim; the mail: ${MAIL_GAIN}× pgsteal_anon with kcompressd, on phones`,
    head: [
      'codec',
      'data',
      'threads',
      'pages/s',
      'gain',
      'limit of the cores',
      'gain by processor time',
      'kswapd µs/page',
      'kcompressd µs/page',
      'compressed by kswapd',
      'peak in flight',
      'of the ring',
      'ms in flight',
      'wake-ups/1000 pages',
      'bytes/page',
    ],
    body,
  };
}

function gainsOf(row: RateRow, alone: RateRow): number[] {
  const pairs = Math.min(row.all.length, alone.all.length);
  return row.all.slice(0, pairs).map((each, index) => perSecond(each) / perSecond(alone.all[index]));
}

/** Processor time of the busiest thread, µs a page: what the rate would be bound by if each thread had a core of its own. */
function busiestUs({ kswapdMs, kcompressdMs, pages }: S5Reclaimed, kcompressd: number): number {
  return (Math.max(kswapdMs, kcompressdMs / Math.max(1, kcompressd)) / pages) * 1000;
}

function rateCells(row: RateRow, alone: RateRow, rates: readonly number[], gain: number, limit: number): string[] {
  const { all, codec, data, kcompressd } = row;
  const aloneUs = median(alone.all.map((each) => busiestUs(each, 0)));
  const busiest = median(all.map((each) => busiestUs(each, kcompressd)));
  const of = (figure: (each: S5Reclaimed) => number) => rounded(median(all.map(figure)));
  return [
    codec,
    data,
    kcompressd === 0 ? 'kswapd alone' : `kswapd + ${kcompressd}`,
    `${Math.round(median(rates))}`,
    gain.toFixed(2),
    `${limit}×`,
    busiest > 0 ? (aloneUs / busiest).toFixed(2) : '',
    `${of((each) => (each.kswapdMs / each.pages) * 1000)}`,
    `${of((each) => (each.kcompressdMs / each.pages) * 1000)}`,
    kcompressd === 0 ? '100 %' : `${Math.round(of((each) => each.fallbackShare * 100))} %`,
    `${of((each) => each.inflightPeak)}`,
    `${of((each) => each.ringEntries)}`,
    `${rounded(median(all.map((each) => (each.inflightPeak / perSecond(each)) * 1000)))}`,
    `${of((each) => (each.wakeups / each.pages) * 1000)}`,
    data === 'text' ? `${Math.round(of((each) => each.compressedPerPage))}` : 'kept raw',
  ];
}

/** One thread that does everything: what of its time is scanning. */
export function describeSplits(results: Results, samples: Samples): Table {
  const body: string[][] = [];
  for (const [name, split] of samples.splits) {
    const us = (ns: number) => rounded(ns / split.pages / 1000);
    const rest = split.totalNs - split.compressNs - split.sameFilledNs - split.storeNs;
    const share = split.compressNs / split.totalNs;
    results.facts(name, 'split of one thread', {
      compressUs: us(split.compressNs),
      sameFilledUs: us(split.sameFilledNs),
      storeUs: us(split.storeNs),
      scanUs: us(rest),
      compressShare: rounded(share),
      ratio: `1 : ${rounded(split.compressNs / Math.max(1, rest + split.sameFilledNs + split.storeNs))}`,
    });
    body.push([
      name,
      `${us(split.totalNs)}`,
      `${us(split.compressNs)}`,
      `${us(split.sameFilledNs)}`,
      `${us(split.storeNs)}`,
      `${us(rest)}`,
      `${Math.round(share * 100)} %`,
    ]);
  }
  return {
    title: 'One thread that does all of it, µs of processor time a page (with the cost of timing each kernel call)',
    head: ['what', 'all', 'compress', 'same-filled?', 'store', 'scan, unmap, free', 'share of compression'],
    body,
  };
}

/** A writer that fills memory as fast as it can, on the same cores. */
export function describeWrites(results: Results, samples: Samples): Table {
  const body: string[][] = [];
  for (const { name, codec, kcompressd } of rateRows(samples)) {
    const all = samples.written.get(name);
    if (all === undefined) continue;
    results.measured(name, 'written', 'pages/s', all.map(perSecond));
    results.measured(
      name,
      'allocstall',
      'per 1000 pages',
      all.map((each) => (each.allocstall / each.pages) * 1000),
    );
    const of = (figure: (each: S5Written) => number) => `${rounded(median(all.map(figure)))}`;
    body.push([
      codec,
      kcompressd === 0 ? 'kswapd alone' : `kswapd + ${kcompressd}`,
      of(perSecond),
      of((each) => (each.allocstall / each.pages) * 1000),
      of((each) => (each.stallMs / each.ms) * 100),
      of((each) => each.p99Us),
      of((each) => each.maxMs),
    ]);
  }
  return {
    title: 'A writer of text into full memory, on the same cores',
    head: ['codec', 'threads', 'pages/s', 'allocstall/1000 pages', '% of time in stalls', 'p99 µs', 'max ms'],
    body,
  };
}
