/** The command line: flags named as in redis.conf, `--name value`. A wrong one is a `FlagError` with the line to print. */

import { EVICTION_POLICIES, type EvictionPolicy } from './evict.ts';
import { isLoopback } from './loopback.ts';
import { parseMemory } from './memory-size.ts';

export interface Options {
  port: number;
  bind: string[];
  budget: number;
  swapFile: string | undefined;
  swapSize: number;
  threads: number | 'auto';
  databases: number;
  policy: EvictionPolicy;
  requirepass: string;
  maxclients: number;
}

export class FlagError extends Error {
  override readonly name = 'FlagError';
}

const DEFAULT_BUDGET = '256MiB';
/** The file tier is this many times the budget unless --swap-size says otherwise. */
const SWAP_TIMES_BUDGET = 4;
const THREADS_MAX = 16;

export const HELP = `Usage: quire-server [--flag value]...

  --port N                port to listen on (6379; 0 = any free one)
  --bind ADDR [ADDR...]   addresses (127.0.0.1); others than loopback need --requirepass
  --budget SIZE           everything held in memory: 512MiB, 2gb, 40% of what the container allows (256MiB)
  --swap-size SIZE        file tier below the compressed one (four times the budget; 0 = none; at most 64 GiB for each 4 of budget)
  --swap-file PATH        a new file, or a folder, for it (the system's folder for temporary files); unlinked at once
  --threads N             compressing threads (auto = cores - 1, at most 4; 0 = none)
  --databases N           numbered databases (16)
  --maxmemory-policy P    when every tier is full: noeviction (default) or allkeys-lru
  --requirepass WORD      password that clients must give
  --maxclients N          clients at a time (10000)
  --help                  this text
`;

const NAMES = [
  'port',
  'bind',
  'budget',
  'swap-size',
  'swap-file',
  'threads',
  'databases',
  'maxmemory-policy',
  'requirepass',
  'maxclients',
];

/** The options, or 'help'. `allowedBytes` is what the process may use: 100 % for sizes in per cent, and the limit of the budget. */
export function parseOptions(argv: readonly string[], allowedBytes: number): Options | 'help' {
  if (argv.includes('--help') || argv.includes('-h')) return 'help';
  const flags = collectFlags(argv);
  const budget = budgetBytes(single(flags, 'budget') ?? DEFAULT_BUDGET, allowedBytes);
  const bind = flags.get('bind') ?? ['127.0.0.1'];
  const requirepass = single(flags, 'requirepass') ?? '';
  const exposed = bind.find((address) => !isLoopback(address));
  if (exposed !== undefined && requirepass === '') {
    throw new FlagError(`--bind ${exposed}: other addresses than loopback need --requirepass`);
  }
  return {
    port: integer(flags, 'port', 6379, 0, 65535),
    bind,
    budget,
    swapFile: single(flags, 'swap-file'),
    swapSize: swapBytes(single(flags, 'swap-size'), budget),
    threads: threads(flags),
    databases: integer(flags, 'databases', 16, 1, 128),
    policy: policy(single(flags, 'maxmemory-policy') ?? 'noeviction'),
    requirepass,
    maxclients: integer(flags, 'maxclients', 10000, 1, 1_000_000),
  };
}

function collectFlags(argv: readonly string[]): Map<string, string[]> {
  const flags = new Map<string, string[]>();
  for (let i = 0; i < argv.length; ) {
    const word = argv[i++];
    const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(word);
    if (match === null) throw new FlagError(`'${word}' is no flag; --help lists them`);
    const [, name, attached] = match;
    if (!NAMES.includes(name)) throw new FlagError(`unknown flag --${name}; --help lists them`);
    if (flags.has(name)) throw new FlagError(`--${name} is given twice`);
    const values = attached === undefined ? [] : [attached];
    if (attached === undefined) while (i < argv.length && !argv[i].startsWith('--')) values.push(argv[i++]);
    if (values.length === 0) throw new FlagError(`--${name} needs a value`);
    if (values.length > 1 && name !== 'bind')
      throw new FlagError(`--${name} takes one value, not '${values.join(' ')}'`);
    flags.set(name, values);
  }
  return flags;
}

function single(flags: Map<string, string[]>, name: string): string | undefined {
  return flags.get(name)?.[0];
}

function integer(flags: Map<string, string[]>, name: string, otherwise: number, min: number, max: number): number {
  const text = single(flags, name);
  if (text === undefined) return otherwise;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new FlagError(`--${name} must be a number of ${min} to ${max}, not '${text}'`);
  return value;
}

function budgetBytes(text: string, allowedBytes: number): number {
  const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text);
  const bytes = percent === null ? parseMemory(text) : Math.floor((allowedBytes * Number(percent[1])) / 100);
  if (bytes === undefined || bytes === 0)
    throw new FlagError(`--budget must be a size like 512MiB or 40%, not '${text}'`);
  if (bytes > allowedBytes) {
    throw new FlagError(
      `--budget ${text} is ${bytes} bytes, more than the ${allowedBytes} this machine or container allows`,
    );
  }
  return bytes;
}

function swapBytes(text: string | undefined, budget: number): number {
  if (text === undefined) return budget * SWAP_TIMES_BUDGET;
  if (text === '0') return 0;
  const bytes = parseMemory(text);
  if (bytes === undefined) throw new FlagError(`--swap-size must be a size like 1GiB, or 0, not '${text}'`);
  return bytes;
}

function threads(flags: Map<string, string[]>): number | 'auto' {
  return single(flags, 'threads') === 'auto' || !flags.has('threads')
    ? 'auto'
    : integer(flags, 'threads', 0, 0, THREADS_MAX);
}

function policy(text: string): EvictionPolicy {
  const known = EVICTION_POLICIES.find((name) => name === text);
  if (known === undefined) {
    throw new FlagError(`--maxmemory-policy must be one of ${EVICTION_POLICIES.join(', ')}, not '${text}'`);
  }
  return known;
}
