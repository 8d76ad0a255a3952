/**
 * Parameters of CONFIG GET and CONFIG SET: those of Redis that mean something here, under its names, and a few of Redis' that clients
 * ask for and that can have one answer only (`save`, `appendonly`). A parameter without `set` is fixed while the server runs.
 */
import { EVICTION_POLICIES, type EvictionPolicy, type Evictor } from './evict.ts';
import { parseMemory } from './memory-size.ts';

/** Values longer than this are refused (the map's limit). */
export const VALUE_BYTES_MAX = 64 * 1024 * 1024;

interface Parameter {
  get(): string;
  /** Undefined when done, else why not. */
  set?(value: string): string | undefined;
}

export interface FixedSettings {
  port: number;
  bind: readonly string[];
  databases: number;
  budget: number;
  threads: string;
  swapFile: string;
  swapSize: number;
}

export class Config {
  requirepass = '';
  maxclients = 10000;
  /** Seconds without a command after which a client is closed; 0 = never. */
  timeoutSeconds = 0;
  /** Bytes of one request, and of all commands queued in a transaction. */
  queryBytesMax = 2 * VALUE_BYTES_MAX;
  /** Bytes one command may answer. */
  replyBytesMax = 2 * VALUE_BYTES_MAX;
  /** Other machines can connect: there must be a password. */
  isExposed = false;
  /** Called after a parameter was set. */
  onChange: () => void = () => {};
  private readonly parameters = new Map<string, Parameter>();
  private readonly evictor: Evictor;

  constructor(fixed: FixedSettings, evictor: Evictor) {
    this.evictor = evictor;
    this.addFixed(fixed);
    this.addSettable();
  }

  names(): IterableIterator<string> {
    return this.parameters.keys();
  }

  get(name: string): string | undefined {
    return this.parameters.get(name)?.get();
  }

  has(name: string): boolean {
    return this.parameters.has(name);
  }

  /** Sets all or none. Returns what was wrong, in Redis' words, undefined when all were set. */
  setAll(pairs: readonly (readonly [name: string, value: string])[]): string | undefined {
    const before: [Parameter, string][] = [];
    const seen = new Set<string>();
    for (const [name] of pairs) {
      if (!this.parameters.has(name)) return `Unknown option or number of arguments for CONFIG SET - '${name}'`;
      if (seen.has(name)) return failed(name, 'duplicate parameter');
      seen.add(name);
    }
    for (const [name, value] of pairs) {
      const parameter = this.parameters.get(name)!;
      const old = parameter.get();
      const error = parameter.set === undefined ? "can't set immutable config" : parameter.set(value);
      if (error !== undefined) {
        for (const [changed, text] of before) changed.set?.(text);
        return failed(name, error);
      }
      before.push([parameter, old]);
    }
    this.onChange();
    return undefined;
  }

  private addFixed(fixed: FixedSettings): void {
    const texts: Record<string, string> = {
      port: String(fixed.port),
      bind: fixed.bind.join(' '),
      databases: String(fixed.databases),
      budget: String(fixed.budget),
      threads: fixed.threads,
      'swap-file': fixed.swapFile,
      'swap-size': String(fixed.swapSize),
      'proto-max-bulk-len': String(VALUE_BYTES_MAX),
      'tcp-keepalive': '300',
      'maxmemory-samples': '5',
      hz: '10',
      save: '',
      appendonly: 'no',
      'io-threads': '1',
      'notify-keyspace-events': '',
      'cluster-enabled': 'no',
    };
    for (const [name, text] of Object.entries(texts)) this.parameters.set(name, { get: () => text });
  }

  private addSettable(): void {
    const { parameters } = this;
    parameters.set('maxmemory', {
      get: () => String(this.evictor.maxmemory),
      set: (text) =>
        setMemory(text, (bytes) => {
          this.evictor.maxmemory = bytes;
        }),
    });
    parameters.set('maxmemory-policy', {
      get: () => this.evictor.policy,
      set: (text) => this.setPolicy(text),
    });
    parameters.set('requirepass', { get: () => this.requirepass, set: (text) => this.setPassword(text) });
    parameters.set('maxclients', {
      get: () => String(this.maxclients),
      set: (text) => setInteger(text, 1, 0xffffffff, (value) => (this.maxclients = value)),
    });
    parameters.set('timeout', {
      get: () => String(this.timeoutSeconds),
      set: (text) => setInteger(text, 0, 0x7fffffff, (value) => (this.timeoutSeconds = value)),
    });
    parameters.set('client-query-buffer-limit', {
      get: () => String(this.queryBytesMax),
      set: (text) => setMemory(text, (bytes) => (this.queryBytesMax = Math.max(bytes, 1024 * 1024))),
    });
    parameters.set('client-output-buffer-limit', {
      get: () => `normal ${this.replyBytesMax} 0 0`,
      set: (text) => this.setOutputLimit(text),
    });
  }

  private setPolicy(text: string): string | undefined {
    const policy = EVICTION_POLICIES.find((known) => known === text.toLowerCase()) as EvictionPolicy | undefined;
    if (policy === undefined) return `argument(s) must be one of the following: ${EVICTION_POLICIES.join(', ')}`;
    this.evictor.policy = policy;
    return undefined;
  }

  private setPassword(text: string): string | undefined {
    if (text === '' && this.isExposed) return 'a server that binds other addresses than loopback needs a password';
    this.requirepass = text;
    return undefined;
  }

  private setOutputLimit(text: string): string | undefined {
    const match = /^normal (\S+) (\S+) (\S+)$/.exec(text.trim().toLowerCase());
    const bytes = match === null ? undefined : parseMemory(match[1]);
    if (bytes === undefined) return 'Error in hard limit configuration for normal clients';
    this.replyBytesMax = bytes === 0 ? Number.MAX_SAFE_INTEGER : bytes;
    return undefined;
  }
}

function failed(name: string, why: string): string {
  return `CONFIG SET failed (possibly related to argument '${name}') - ${why}`;
}

function setMemory(text: string, assign: (bytes: number) => void): string | undefined {
  const bytes = parseMemory(text);
  if (bytes === undefined) return 'argument must be a memory value';
  assign(bytes);
  return undefined;
}

function setInteger(text: string, min: number, max: number, assign: (value: number) => void): string | undefined {
  if (!/^-?\d{1,15}$/.test(text)) return "argument couldn't be parsed into an integer";
  const value = Number(text);
  if (value < min || value > max) return `argument must be between ${min} and ${max} inclusive`;
  assign(value);
  return undefined;
}
