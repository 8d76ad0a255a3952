/** Runs Debian's redis-benchmark against a server on loopback and reads its CSV. */
import { spawn, spawnSync } from 'node:child_process';
import { undoLater } from '../undo.ts';

/** Size of the values, `-d` in the kernel's runs. */
export const VALUE_BYTES = 1024;
const CLIENTS = 12;
const PIPELINE = 32;

export interface BenchmarkFigures {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** How to get the programs, null when both are there. */
export function whyNoRedis(): string | null {
  for (const program of ['redis-server', 'redis-benchmark']) {
    if (spawnSync(program, ['--version']).error !== undefined) {
      return `${program} is not installed (Debian: apt-get install redis-server redis-tools)`;
    }
  }
  return null;
}

/** `GET` of random keys of [0, keys), `requests` in all. Throws when the program fails or reports errors. */
export async function benchmarkGets(port: number, keys: number, requests: number): Promise<BenchmarkFigures> {
  const args = `-h 127.0.0.1 -p ${port} -d ${VALUE_BYTES} -c ${CLIENTS} -P ${PIPELINE} -t get -r ${keys} -n ${requests} --csv`;
  const child = spawn('redis-benchmark', args.split(' '), { stdio: ['ignore', 'pipe', 'pipe'] });
  const done = undoLater(() => child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    errors += bytes.toString();
  });
  const status = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code === 0 ? '' : `ended with ${signal ?? code}`));
  });
  done();
  if (status !== '' || /error/i.test(output)) throw new Error(`redis-benchmark: ${status} ${output} ${errors}`.trim());
  return parseCsv(output);
}

/** Reads `"test","rps","avg_latency_ms",…` and the GET line below it. Throws when there is none. */
export function parseCsv(output: string): BenchmarkFigures {
  const lines = output.split('\n').filter((line) => line.startsWith('"'));
  const cells = lines.map((line) => line.split(',').map((cell) => cell.replaceAll('"', '')));
  const [head, row] = [cells.find((line) => line[0] === 'test'), cells.find((line) => line[0].startsWith('GET'))];
  if (head === undefined || row === undefined) throw new Error(`redis-benchmark printed no GET line: ${output}`);
  const cell = (name: string) => Number(row[head.indexOf(name)]);
  return {
    requestsPerSecond: cell('rps'),
    p50Ms: cell('p50_latency_ms'),
    p99Ms: cell('p99_latency_ms'),
    maxMs: cell('max_latency_ms'),
  };
}
