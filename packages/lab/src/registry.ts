/** The benchmarks there are, in the order `--help` lists them. */
import type { Benchmark } from './benchmark.ts';
import { budget } from './budget/budget.ts';
import { map } from './map/map.ts';
import { server } from './server/server.ts';
import { swap } from './swap/swap.ts';

export const benchmarks: readonly Benchmark[] = [swap, map, server, budget];
