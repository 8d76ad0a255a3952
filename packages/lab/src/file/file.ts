/**
 * `lab file`: calls of 4 KiB on a cached file, Quire beside Node's fs on the host's page cache. What the host's calls
 * cost depends on the folios of the file, and each size wins some of them: Node's fs runs on two files, one written as
 * `dd bs=1024k` does and one written page by page, and each ratio is against the faster. The file is that of `lab s2`,
 * 10 MiB, which a processor's last cache holds; beside it one of 64 MiB, where the memory's speed counts for both sides.
 */
import { type Benchmark, ColumnAbsent, type Run } from '../benchmark.ts';
import { type Child, startNodeChild } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { deviceOf, makeFileFolder } from '../file-folder.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import { mib, type Outcome, Results } from '../report.ts';
import { FILE_BYTES } from '../s2/cases.ts';
import { pairedRatio, spreadOf } from '../stats.ts';
import type { FileChildArgs } from './file-child.ts';
import { PHASES } from './file-work.ts';

const SIZES = [
  { suffix: '', pages: FILE_BYTES / PAGE_BYTES },
  { suffix: '_64m', pages: 2 ** 14 },
] as const;
const CALLS = 2 ** 16;
const CALLS_QUICK = 2 ** 14;
const ROUNDS = 11;
const ROUNDS_QUICK = 5;
const AT_LEAST = 3;
const MIB_BYTES = 2 ** 20;

const COLUMNS = [
  { name: QUIRE, store: 'quire', chunkBytes: MIB_BYTES },
  { name: 'node_fs', store: 'node', chunkBytes: MIB_BYTES },
  { name: 'node_fs_4k', store: 'node', chunkBytes: PAGE_BYTES },
] as const;

/** ns per call of each round, by column and phase. */
type Samples = Map<string, Map<string, number[]>>;

export const file: Benchmark = {
  name: 'file',
  summary: '4 KiB reads and writes of a cached file, random and in order: Quire beside Node fs',
  run: runFile,
};

async function runFile(run: Run): Promise<Outcome> {
  const results = new Results();
  const folder = makeFileFolder('ext4');
  const { fileSystem } = folder;
  const calls = run.quick ? CALLS_QUICK : CALLS;
  results.facts('all', 'work', { callsPerRound: calls, fileSystem, device: deviceOf(folder.path) });
  try {
    for (const { suffix, pages } of SIZES) {
      results.facts('all', `file${suffix}`, { fileMib: mib(pages * PAGE_BYTES) });
      const samples = await runSize(folder.path, pages, calls, run, results);
      report(samples, suffix, results);
    }
  } finally {
    folder.remove();
  }
  return results.outcome();
}

async function runSize(folder: string, pages: number, calls: number, run: Run, results: Results): Promise<Samples> {
  const children: Started[] = [];
  const samples: Samples = new Map();
  try {
    for (const column of COLUMNS) await startOne(column, folder, pages, children, results);
    await measure(children, calls, run, samples);
    for (const { child } of children) await child.end();
  } finally {
    for (const { child } of children) await child.kill();
  }
  return samples;
}

interface Started {
  readonly name: string;
  readonly child: Child;
}

async function startOne(
  column: (typeof COLUMNS)[number],
  folder: string,
  pages: number,
  children: Started[],
  results: Results,
): Promise<void> {
  const { name, store, chunkBytes } = column;
  const args: FileChildArgs = { store, path: `${folder}/${name}`, pages, chunkBytes };
  const child = startNodeChild(builtFile('file/file-child.js'), args);
  try {
    await child.ready(name);
    children.push({ name, child });
  } catch (error) {
    await child.kill();
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(name, error.message);
  }
}

/** The first round warms up and is left out. Columns take turns phase by phase. */
async function measure(children: readonly Started[], calls: number, run: Run, samples: Samples): Promise<void> {
  const rounds = run.quick ? ROUNDS_QUICK : ROUNDS;
  for (let round = 0; round <= rounds; round += 1) {
    if (round > 1 && !run.hasTime()) break;
    for (const phase of PHASES) {
      for (let index = 0; index < children.length; index += 1) {
        const { name, child } = children[(index + round) % children.length];
        const { ns } = await child.phase<{ ns: number }>(`${phase} ${calls}`);
        if (round > 0) keep(samples, name, phase, ns);
      }
    }
    run.progress(`round ${round} of ${rounds}`);
  }
}

function keep(samples: Samples, column: string, phase: string, ns: number): void {
  const byPhase = samples.get(column) ?? new Map<string, number[]>();
  samples.set(column, byPhase);
  byPhase.set(phase, [...(byPhase.get(phase) ?? []), ns]);
}

function report(samples: Samples, suffix: string, results: Results): void {
  for (const [column, byPhase] of samples) {
    for (const [phase, ns] of byPhase) results.measured(column, `${phase}${suffix}`, 'ns/call', ns);
  }
  const quire = samples.get(QUIRE);
  if (quire === undefined) return;
  for (const phase of PHASES) {
    const others = COLUMNS.slice(1).map(({ name }) => samples.get(name)?.get(phase) ?? []);
    const fastest = others.reduce((best, ns) => (spreadOf(ns).median < spreadOf(best).median ? ns : best));
    const target = suffix === '' ? { atLeast: AT_LEAST } : {};
    results.ratio(`${phase}${suffix}`, pairedRatio(fastest, quire.get(phase) ?? []), target);
  }
}
