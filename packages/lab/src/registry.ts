/** The benchmarks there are, in the order `--help` lists them. */
import type { Benchmark } from './benchmark.ts';
import { budget } from './budget/budget.ts';
import { file } from './file/file.ts';
import { map } from './map/map.ts';
import { policy } from './policy/policy.ts';
import { s1 } from './s1/s1.ts';
import { s2 } from './s2/s2.ts';
import { s3 } from './s3/s3.ts';
import { s4 } from './s4/s4.ts';
import { s5 } from './s5/s5.ts';
import { server } from './server/server.ts';
import { swap } from './swap/swap.ts';
import { tier } from './tier/tier.ts';

export const benchmarks: readonly Benchmark[] = [swap, map, server, budget, file, s1, s2, s3, s4, s5, tier, policy];
