/**
 * What a benchmark is to the lab: a name, one line for the list, and a function from a run's settings to rows and ratios.
 * A benchmark starts one process per implementation (child.ts), interleaves their repetitions, verifies every result
 * before timing it and throws WrongAnswer when one is wrong: a wrong answer disqualifies the run.
 */
import type { Column, Outcome } from './report.ts';

export interface Run {
  /** Small enough to end within 45 s on two cores. */
  readonly quick: boolean;
  /** False once a quick run should start no further repetition; a benchmark makes at least one of each column. */
  hasTime(): boolean;
  /** As of the command line (args.ts). */
  readonly record?: string | null;
  readonly trace?: string | null;
  /** One line of progress, to standard error. */
  progress(line: string): void;
}

export interface Benchmark {
  readonly name: string;
  /** One line, printed by `lab --help`. */
  readonly summary: string;
  run(run: Run): Promise<Outcome>;
}

/** A result that differs from the expected one. The lab exits with status 1 and prints no figures. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

/** A column that cannot be measured here; the reason is printed in its place and the other columns still run. */
export class ColumnAbsent extends Error {
  override readonly name = 'ColumnAbsent';
  readonly column: Column;

  constructor(column: Column, reason: string) {
    super(reason);
    this.column = column;
  }
}
