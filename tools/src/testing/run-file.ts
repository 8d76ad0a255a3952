import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countTests, parseTally, type Tally } from './tally.ts';

export interface FileResult {
  /** Why the file failed; undefined when everything in it passed. */
  readonly failure: string | undefined;
  readonly tally: Tally;
  /** Standard output (node:test's spec report) and standard error, in the order they came. */
  readonly output: string;
  readonly ms: number;
}

const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0, todo: 0 };
/** How long after the end of a test's process its output may stay open: only a process it left behind holds it longer. */
const LEFT_BEHIND_MS_MAX = 2_000;
const running = new Set<ChildProcess>();

/**
 * Runs one built test file in a process (and process group) of its own. A file still running after `timeoutMs`, be it a stuck
 * test or a handle nobody closed, is killed with everything it started, and fails.
 */
export async function runTestFile(path: string, options: { cwd: string; timeoutMs: number }): Promise<FileResult> {
  const folder = mkdtempSync(join(tmpdir(), 'quire-test-'));
  const startMs = performance.now();
  try {
    const tallyPath = join(folder, 'tally.json');
    const child = spawn(process.execPath, nodeArguments(path, tallyPath), {
      cwd: options.cwd,
      detached: true,
      // Under `node --test` this variable would make the child speak the runner's own protocol.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const end = await waitForEnd(child, options.timeoutMs);
    const tally = readTally(tallyPath);
    return {
      failure: end.failure ?? judge(end.code, tally),
      tally: tally ?? NOTHING,
      output: end.output,
      ms: performance.now() - startMs,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Kills every test that is still running, with what it started. For when the runner itself is told to stop. */
export function killAll(): void {
  for (const child of running) killGroup(child);
}

function nodeArguments(path: string, tallyPath: string): string[] {
  const reporters = [
    ['spec', 'stdout'],
    [new URL('./tally.js', import.meta.url).href, tallyPath],
  ];
  return [...reporters.flatMap(([name, to]) => [`--test-reporter=${name}`, `--test-reporter-destination=${to}`]), path];
}

interface End {
  readonly failure: string | undefined;
  readonly code: number | null;
  readonly output: string;
}

function waitForEnd(child: ChildProcess, timeoutMs: number): Promise<End> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let failure: string | undefined;
    const stop = (why: string): void => {
      failure ??= why;
      killGroup(child);
    };
    let timer = setTimeout(
      () => stop(`still running after ${timeoutMs / 1000} s: a stuck test or an open handle`),
      timeoutMs,
    );
    running.add(child);
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', reject);
    child.on('exit', () => {
      clearTimeout(timer);
      timer = setTimeout(() => stop('it left a process behind'), LEFT_BEHIND_MS_MAX);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ failure, code, output: Buffer.concat(chunks).toString() });
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function readTally(path: string): Tally | undefined {
  try {
    return parseTally(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function judge(code: number | null, tally: Tally | undefined): string | undefined {
  if (code !== 0) return tally !== undefined && tally.failed > 0 ? `${tally.failed} failed` : `exit status ${code}`;
  if (tally === undefined) return 'it ended before its tests did, or has none';
  if (tally.failed > 0) return `${tally.failed} failed`;
  if (tally.skipped > 0) return `${tally.skipped} skipped`;
  if (tally.todo > 0) return `${tally.todo} marked as to do`;
  return countTests(tally) === 0 ? 'it has no test' : undefined;
}
