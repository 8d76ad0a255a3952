/** `npm run -s lab -- NAME [--quick] [--json] [--out FILE] …`: runs one benchmark and prints its report. */
import { writeFileSync } from 'node:fs';
import { type Args, parseArgs } from './args.ts';
import { commitHere, machineHere } from './machine.ts';
import { benchmarks } from './registry.ts';
import { reportJson, reportTable } from './report.ts';
import { undoAll } from './undo.ts';

/** A quick run ends within 45 s; what is started by now, and the end of the run, must fit behind it. */
const QUICK_REPETITIONS_MS = 25_000;

const USAGE = `usage: npm run -s lab -- NAME [--quick] [--json] [--out FILE] [--record DIR | --trace FILE]

  --quick     smaller sizes, ends within 45 s on two cores
  --json      one JSON object and nothing else on standard output
  --out FILE  also write what is printed to FILE
  --record D  policy: also write each trace to folder D, as NAME.trace
  --trace F   policy: replay the trace of file F and no other
  --list      print the names of the benchmarks, one a line

${benchmarks.map(({ name, summary }) => `  ${name.padEnd(9)} ${summary}`).join('\n')}
`;

async function main(): Promise<number> {
  const parsed = parseArgs(
    process.argv.slice(2),
    benchmarks.map(({ name }) => name),
  );
  if (parsed.kind === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (parsed.kind === 'list') {
    process.stdout.write(`${benchmarks.map(({ name }) => name).join('\n')}\n`);
    return 0;
  }
  if (parsed.kind === 'wrong') {
    process.stderr.write(`${parsed.line}\n`);
    return 1;
  }
  return runOne(parsed.args);
}

async function runOne(args: Args): Promise<number> {
  const benchmark = benchmarks.find(({ name }) => name === args.name);
  if (benchmark === undefined) return 1;
  const started = performance.now();
  const progress = (line: string) => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(`[${seconds.padStart(6)} s] ${line}\n`);
  };
  const hasTime = () => !args.quick || performance.now() - started < QUICK_REPETITIONS_MS;
  try {
    const outcome = await benchmark.run({ ...args, hasTime, progress });
    const report = { name: benchmark.name, machine: machineHere(), commit: commitHere(), ...outcome };
    const text = args.json ? `${reportJson(report)}\n` : reportTable(report);
    process.stdout.write(text);
    if (args.out !== null) writeFileSync(args.out, text);
    return 0;
  } catch (error) {
    process.stderr.write(
      `lab ${args.name}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n`,
    );
    return 1;
  } finally {
    undoAll();
  }
}

process.exitCode = await main();
