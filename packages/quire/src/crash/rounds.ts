/**
 * Rounds of one lane: a writer process works on the lane's files and acknowledges each sync through a pipe; it is
 * killed at a random moment; the files are compared with what its plan allows. The next round goes on with the files
 * as they were left.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random } from '../simulator/random.ts';
import { Expectation } from './expectation.ts';
import { FILES, Plan } from './plan.ts';
import { SECTOR_BYTES } from './sectors.ts';

const WRITER = fileURLToPath(new URL('./writer.js', import.meta.url));
/** A writer that has not acknowledged anything by then never will. */
const FIRST_ACK_MS_MAX = 20_000;
/** From its first acknowledgement to its death: some die at once, some after hundreds of syncs. */
const LIFE_MS_MAX = 250;

export interface RoundOptions {
  readonly directory: string;
  readonly seed: number;
  readonly round: number;
  /** Tells the writer to break its promise, so that a test can see that this is noticed. */
  readonly lie?: 'no-sync' | 'wrong-bytes';
}

export interface RoundResult {
  /** Syncs that were acknowledged. */
  readonly syncs: number;
  readonly steps: number;
  readonly failures: string[];
}

export function pathOf(directory: string, file: number): string {
  return join(directory, `file-${file}`);
}

/** Makes the lane's files, empty. */
export function createFiles(directory: string): void {
  for (let file = 0; file < FILES; file++) writeFileSync(pathOf(directory, file), '');
}

export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const { directory, seed, round } = options;
  const before = readImages(directory);
  const plan = new Plan(
    seed,
    round,
    before.map((image) => image.length / SECTOR_BYTES),
  );
  const expectation = new Expectation(before);
  const lifeMs = new Random(seed * 7919 + round).next() / 2 ** 32;
  const killed = await runWriter(options, LIFE_MS_MAX * lifeMs ** 2);
  if (killed.failure !== undefined) return { syncs: killed.syncs, steps: 0, failures: [killed.failure] };
  let steps = 0;
  for (let left = killed.syncs; ; steps++) {
    const step = plan.next();
    if (step.kind === 'sync') {
      if (left-- === 0) break;
      expectation.acknowledge(step.file);
    } else expectation.take(step);
  }
  return { syncs: killed.syncs, steps, failures: expectation.check(readImages(directory)) };
}

function readImages(directory: string): Uint8Array[] {
  return Array.from({ length: FILES }, (_, file) => new Uint8Array(readFileSync(pathOf(directory, file))));
}

interface Killed {
  readonly syncs: number;
  readonly failure: string | undefined;
}

function runWriter(options: RoundOptions, lifeMs: number): Promise<Killed> {
  const { directory, seed, round, lie } = options;
  const child = spawn(process.execPath, [WRITER, directory, String(seed), String(round), lie ?? 'honest'], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  let syncs = 0;
  let errors = '';
  let timer = setTimeout(() => child.kill('SIGKILL'), FIRST_ACK_MS_MAX);
  child.stdio[3]?.on('data', (bytes: Buffer) => {
    if (syncs === 0) {
      clearTimeout(timer);
      timer = setTimeout(() => child.kill('SIGKILL'), lifeMs);
    }
    syncs += bytes.length;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return new Promise((resolve) => {
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      const isKilled = signal === 'SIGKILL' && syncs > 0;
      const failure = isKilled ? undefined : `the writer ended by itself (${signal ?? status}): ${errors}`;
      resolve({ syncs, failure });
    });
  });
}
