/**
 * The shape of a run's result and its two printed forms. `--json` is exactly
 * `{ name, machine, commit, rows, ratios }`; a ratio is its median there, and its spread is the row of metric `ratio`
 * with the same name. Rows are flat objects, so that a reader needs no schema.
 */
import type { Machine } from './machine.ts';
import { type MedianInterval, rounded, type Spread, spreadOf } from './stats.ts';

export type Column = string;
export type Cell = string | number | boolean | null;

export interface Row {
  readonly column: Column;
  readonly metric: string;
  readonly [field: string]: Cell;
}

/** A table of its own for the printed form: figures of the rows in the layout of the mail they answer. Not in the JSON. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly body: readonly (readonly string[])[];
}

export interface Outcome {
  readonly rows: readonly Row[];
  readonly ratios: Readonly<Record<string, number>>;
  readonly tables?: readonly Table[];
}

export interface Report extends Outcome {
  readonly name: string;
  readonly machine: Machine;
  readonly commit: string;
}

/** What a ratio must reach; printed beside it, checked by the reader (benchmarks are not timed tests). */
export interface Target {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** Collects rows and ratios while a benchmark runs. */
export class Results {
  readonly #rows: Row[] = [];
  readonly #ratios: Record<string, number> = {};

  /** A measured figure of one column, with its spread and unit. */
  measured(
    column: Column,
    metric: string,
    unit: string,
    values: readonly number[],
    more: Record<string, Cell> = {},
  ): void {
    this.#rows.push({ column, metric, unit, ...roundedSpread(spreadOf(values)), ...more });
  }

  /** Facts about a column that were not sampled (sizes, settings). */
  facts(column: Column, metric: string, facts: Record<string, Cell>): void {
    this.#rows.push({ column, metric, ...facts });
  }

  absent(column: Column, reason: string): void {
    this.#rows.push({ column, metric: 'absent', reason });
  }

  /** A ratio or another headline figure that the issue gives a bound for. */
  ratio(name: string, spread: Spread | MedianInterval, target: Target = {}): void {
    this.#ratios[name] = rounded(spread.median);
    this.#rows.push({ column: 'ratio', metric: name, unit: '', ...roundedSpread(spread), ...target });
  }

  outcome(): Outcome {
    return { rows: [...this.#rows], ratios: { ...this.#ratios } };
  }
}

function roundedSpread(spread: Spread | MedianInterval): Record<string, number> {
  const entries = Object.entries(spread) as [string, number][];
  return Object.fromEntries(entries.map(([name, value]) => [name, name === 'samples' ? value : rounded(value)]));
}

export function reportJson(report: Report): string {
  const { name, machine, commit, rows, ratios } = report;
  return JSON.stringify({ name, machine, commit, rows, ratios });
}

const SPREAD_FIELDS = new Set(['column', 'metric', 'unit', 'median', 'min', 'max', 'samples', 'atLeast', 'atMost']);

/** Markdown, so that the README and docs/results take it as it is. */
export function reportTable(report: Report): string {
  const { machine } = report;
  const lines = [
    `# lab ${report.name}`,
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${machine.node}; commit ${report.commit}`,
    '',
    ...(report.tables ?? []).flatMap(({ title, head, body }) => [title, '', ...tableLines(head, body), '']),
    ...tableLines(
      ['column', 'metric', 'median', 'min – max', 'runs', 'unit', 'notes'],
      report.rows.filter(isSampled).map(sampledCells),
    ),
  ];
  const ratios = report.rows.filter((row) => row.column === 'ratio');
  if (ratios.length > 0) {
    lines.push('', ...tableLines(['ratio', 'median', 'min – max', 'runs', 'wanted'], ratios.map(ratioCells)));
  }
  const facts = report.rows.filter((row) => row.median === undefined);
  if (facts.length > 0) lines.push('', ...facts.map(factLine));
  return `${lines.join('\n')}\n`;
}

function isSampled(row: Row): boolean {
  return row.median !== undefined && row.column !== 'ratio';
}

function sampledCells(row: Row): string[] {
  const notes = Object.entries(row).filter(([field]) => !SPREAD_FIELDS.has(field));
  const note = notes.map(([field, value]) => `${field} ${value}`).join(', ');
  return [row.column, row.metric, `${row.median}`, `${row.min} – ${row.max}`, `${row.samples}`, `${row.unit}`, note];
}

function ratioCells(row: Row): string[] {
  const wanted = row.atLeast !== undefined ? `≥ ${row.atLeast}` : row.atMost !== undefined ? `≤ ${row.atMost}` : '';
  const interval = row.low95 === undefined ? '' : ` (95 %: ${row.low95} – ${row.high95})`;
  return [row.metric, `${row.median}${interval}`, `${row.min} – ${row.max}`, `${row.samples}`, wanted];
}

function factLine(row: Row): string {
  const facts = Object.entries(row).filter(([field]) => field !== 'column' && field !== 'metric');
  return `- ${row.column}, ${row.metric}: ${facts.map(([field, value]) => `${field} ${value}`).join(', ')}`;
}

function tableLines(head: readonly string[], body: readonly (readonly string[])[]): string[] {
  const rows = [head, ...body];
  const widths = head.map((_, index) => Math.max(3, ...rows.map((row) => row[index].length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, index) => cell.padEnd(widths[index])).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body.map(line)];
}

/** Bytes as MiB with one decimal, as reports show sizes. */
export function mib(bytes: number): number {
  return Math.round((bytes / 2 ** 20) * 10) / 10;
}
