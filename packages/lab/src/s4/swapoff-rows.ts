/** `lab s4`, swapoff: a device with compressed pages is emptied and taken away, here and by the host. */
import { ColumnAbsent, type Run } from '../benchmark.ts';
import { Child, startNodeChild } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { HostSwap } from '../host-swap.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import { mib, type Results } from '../report.ts';
import { compileHostUsemem, HOST } from '../usemem/host-usemem.ts';
import { STEP_BYTES } from '../usemem/share.ts';
import type { SwapoffChildArgs, SwapoffResult } from './swapoff-child.ts';

/** What stays resident while the device is filled. */
const RESIDENT_BYTES = 64 * 2 ** 20;
const REPETITIONS = 3;

/**
 * `bytes` of compressed pages. The host decompresses them into memory, which has room; Quire, whose budget has none, moves
 * them to a file as they are.
 */
export async function measureSwapoff(bytes: number, run: Run, results: Results): Promise<void> {
  const ours: SwapoffResult[] = [];
  for (let repetition = 1; repetition <= REPETITIONS && (repetition === 1 || run.hasTime()); repetition += 1) {
    ours.push(await quireSwapoff(bytes));
    run.progress(`quire: swapoff of ${mib(ours[0].swappedBytes)} MiB takes ${ours[repetition - 1].ms.toFixed(0)} ms`);
  }
  const { swappedBytes, pages } = ours[ours.length - 1];
  const facts = { swappedMib: mib(swappedBytes), pages, to: 'file' };
  results.measured(
    QUIRE,
    'swapoff',
    'ms',
    ours.map(({ ms }) => ms),
    facts,
  );
  await measureHost(bytes, run, results);
}

async function quireSwapoff(bytes: number): Promise<SwapoffResult> {
  const args: SwapoffChildArgs = { bytes };
  const child = startNodeChild(builtFile('s4/swapoff-child.js'), args);
  try {
    await child.ready(QUIRE);
    const result = await child.phase<SwapoffResult>('swapoff');
    await child.end();
    return result;
  } finally {
    await child.kill();
  }
}

async function measureHost(bytes: number, run: Run, results: Results): Promise<void> {
  try {
    const program = compileHostUsemem();
    const ms: number[] = [];
    let swappedBytes = 0;
    for (let repetition = 1; repetition <= REPETITIONS && (repetition === 1 || run.hasTime()); repetition += 1) {
      const once = await hostSwapoff(program, bytes);
      ms.push(once.ms);
      swappedBytes = once.swappedBytes;
      run.progress(`host: swapoff of ${mib(once.swappedBytes)} MiB takes ${once.ms.toFixed(0)} ms`);
    }
    results.measured(HOST, 'swapoff', 'ms', ms, { swappedMib: mib(swappedBytes), device: 'zram, LZ4', to: 'memory' });
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(`${error.column}_swapoff`, error.message);
  }
}

async function hostSwapoff(program: string, bytes: number): Promise<{ ms: number; swappedBytes: number }> {
  const host = HostSwap.open(HOST, bytes * 2);
  const pages = (bytes + RESIDENT_BYTES) / PAGE_BYTES;
  host.cgroup.setLimit(RESIDENT_BYTES);
  const child = new Child(program, [`${pages}`, '1', `${STEP_BYTES}`, host.cgroup.procsFile, '0']);
  const refresh = setInterval(() => host.cgroup.refreshCounters(), 100);
  try {
    await child.ready(HOST);
    await child.phase('write');
    clearInterval(refresh);
    const swappedBytes = host.usage().originalBytes;
    host.cgroup.setLimit(bytes * 2 + RESIDENT_BYTES);
    const ms = host.swapoff();
    await child.phase('verify');
    return { ms, swappedBytes };
  } finally {
    clearInterval(refresh);
    await child.kill();
    host.close();
  }
}
