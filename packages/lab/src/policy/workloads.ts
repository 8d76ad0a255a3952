/**
 * The workloads whose traces are replayed: code of the lab's benchmarks, and the shared map, run as they are over recorders.
 *
 *     swap      `lab swap`: fill, verify, uniform reads, hot and cold reads with churn
 *     hot       the same with eight times as many hot reads: pages stay hot long enough to be worth a frame
 *     hot_scan  hot reads, and a scan of everything after each fifth of them
 *     usemem    written in sequence, then read in sequence, three times
 *     map       gets by Zipf's law on Quire's map, keys drifting; what is missing or expired is set again, with a lifetime
 *     sessions  begun at a steady rate, read the more often the younger they are, all with one lifetime: pages are freed
 *     pgbench   `lab s1`: accounts, history and WAL as pages of files
 */
import type { Corpus } from '../corpus.ts';
import { openQuire } from '../quire.ts';
import { type InnerMap, QuireInternals } from '../quire-internals.ts';
import { fmix32, Xorshift32 } from '../rng.ts';
import { ACCOUNT_PAGE_BYTES } from '../s1/accounts.ts';
import { Pgbench, type WorkFile } from '../s1/pgbench.ts';
import { corpusStore, phaseLines, runPhase, workOf } from '../swap/workload.ts';
import { keyName, TextValues } from '../text-values.ts';
import { RecordingSpace, recordingFile, recordingStore, SpaceRecorder } from './recording.ts';
import { type Trace, TraceRecorder } from './trace.ts';
import { Zipf } from './zipf.ts';

export interface WorkloadSizes {
  /** Pages of the swap workloads; a power of two. */
  readonly pages: number;
  readonly mapKeys: number;
  readonly mapOps: number;
  readonly accountPages: number;
  readonly pgbenchEvents: number;
}

export interface Workload {
  readonly name: string;
  record(corpus: Corpus, sizes: WorkloadSizes): Promise<Trace>;
}

const SEED = 20_240_604;
const SCANS = 5;

export const workloads: readonly Workload[] = [
  phases('swap', (pages) => phaseLines(workOf(pages))),
  phases('hot', (pages) => ['fill', `hot ${pages * 16}`]),
  phases('hot_scan', (pages) => ['fill', ...Array.from({ length: SCANS }, () => [`hot ${pages * 2}`, 'scan']).flat()]),
  phases('usemem', () => ['text', 'scan', 'scan', 'scan']),
  { name: 'map', record: recordMap },
  { name: 'sessions', record: recordSessions },
  { name: 'pgbench', record: recordPgbench },
];

function phases(name: string, lines: (pages: number) => readonly string[]): Workload {
  return {
    name,
    async record(corpus, { pages }) {
      const recorder = new TraceRecorder();
      const store = recordingStore(corpusStore(corpus), new SpaceRecorder(recorder, 0));
      const rng = new Xorshift32(SEED);
      for (const line of lines(pages)) runPhase(line, store, corpus, pages, rng);
      return recorder.trace(name);
    },
  };
}

const VALUE_BYTES = 400;
const THETA = 0.9;
/** A key lives this many operations: most are set anew once or twice in a run. */
const LIFE_SHARE = 0.4;
/** Of all keys, how many the popular ones have moved on by at the end. */
const DRIFT_SHARE = 0.25;
/** Expired entries are looked for now and then; what sessions leave must be found as fast as they come. */
const REAP_EVERY = 1000;
const MAP_REAP = 100;
const SESSIONS_REAP = 250;

const SPACE_BYTES = 2 ** 30;
const BUDGET_BYTES = 128 * 2 ** 20;

/** What a step of a map workload may use; `now` is the number of the step, and the clock of lifetimes. */
interface MapScene {
  readonly map: InnerMap;
  readonly values: TextValues;
  readonly rng: Xorshift32;
}

/** Runs `ops` steps on a map whose three spaces are recorded. */
async function recordedMap(
  name: string,
  corpus: Corpus,
  ops: number,
  reapLimit: number,
  stepOf: (scene: MapScene) => (now: number) => void,
): Promise<Trace> {
  const quire = await openQuire({ budget: BUDGET_BYTES, swap: [], threads: 0 });
  try {
    const internals = await QuireInternals.of(quire);
    const recorder = new TraceRecorder();
    const [index, heap, meta] = ['index', 'heap', 'meta'].map((part, space) => {
      const region = internals.spaceOf(quire.region({ size: SPACE_BYTES, name: part }));
      return new RecordingSpace(region, new SpaceRecorder(recorder, space));
    });
    let now = 1;
    const map = internals.createMap({ index, heap, meta }, () => now, SEED);
    const step = stepOf({ map, values: new TextValues(corpus.text, VALUE_BYTES), rng: new Xorshift32(SEED) });
    for (; now <= ops; now++) {
      step(now);
      if (now % REAP_EVERY === 0) map.reap(reapLimit);
    }
    return recorder.trace(name);
  } finally {
    await quire.close();
  }
}

function recordMap(corpus: Corpus, { mapKeys, mapOps }: WorkloadSizes): Promise<Trace> {
  const lifeMs = Math.floor(mapOps * LIFE_SHARE);
  return recordedMap('map', corpus, mapOps, MAP_REAP, ({ map, values, rng }) => {
    const zipf = new Zipf(mapKeys, THETA, rng);
    return (now) => {
      const drift = Math.floor((now / mapOps) * mapKeys * DRIFT_SHARE);
      const key = fmix32(zipf.next() + drift) % mapKeys;
      const name = Buffer.from(keyName(key));
      if (map.get(name) === undefined) map.set(name, values.value(key), now + 1 + (fmix32(key ^ now) % lifeMs));
    };
  });
}

/** One operation in so many begins a session; a share of the map's keys is alive at any time. */
const STEPS_PER_SESSION = 5;
const LIVE_SHARE = 1 / 4;

function recordSessions(corpus: Corpus, { mapKeys, mapOps }: WorkloadSizes): Promise<Trace> {
  const live = Math.floor(mapKeys * LIVE_SHARE);
  return recordedMap('sessions', corpus, mapOps, SESSIONS_REAP, ({ map, values, rng }) => {
    const recency = new Zipf(live, THETA, rng);
    let sessions = 0;
    return (now) => {
      if (now % STEPS_PER_SESSION === 0) {
        const session = sessions++;
        map.set(Buffer.from(keyName(session)), values.value(session), now + live * STEPS_PER_SESSION);
      } else map.get(Buffer.from(keyName(Math.max(0, sessions - 1 - recency.next()))));
    };
  });
}

const CLIENTS = 10;
/** Half of it is written between two checkpoints. */
const WAL_SHARE = 1 / 4;
const WAL_BYTES_MIN = 2 ** 22;
const NEVER_MS = 2 ** 40;

/** Thrown by the WAL's flush: the only way to end pgbench's run after a count of events instead of a time. */
class Enough extends Error {}

async function recordPgbench(_corpus: Corpus, { accountPages, pgbenchEvents }: WorkloadSizes): Promise<Trace> {
  const recorder = new TraceRecorder();
  const file = (inside: WorkFile, space: number) => recordingFile(inside, new SpaceRecorder(recorder, space));
  const accounts = heldAccounts(accountPages);
  // The accounts exist when pgbench starts; so they do in the trace.
  new SpaceRecorder(recorder, 0).write(0, accountPages * ACCOUNT_PAGE_BYTES);
  const flush = async () => {
    if (recorder.length >= pgbenchEvents) throw new Enough();
  };
  const files = {
    accounts: file(accounts, 0),
    wal: file({ ...writeOnly(), datasync: flush }, 1),
    history: file(writeOnly(), 2),
  };
  const walBytes = Math.max(WAL_BYTES_MIN, accountPages * ACCOUNT_PAGE_BYTES * WAL_SHARE);
  const pgbench = new Pgbench(files, { clients: CLIENTS, accountPages, walBytes, checkpointMs: NEVER_MS, seed: SEED });
  try {
    await pgbench.run(NEVER_MS);
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
  }
  return recorder.trace('pgbench');
}

/** pgbench's accounts in a buffer. */
function heldAccounts(pages: number): WorkFile {
  const bytes = Buffer.alloc(pages * ACCOUNT_PAGE_BYTES);
  for (let page = 0; page < pages; page++) bytes.writeInt32LE(page, page * ACCOUNT_PAGE_BYTES);
  return {
    readSync: (buffer, offset, length, position) => {
      buffer.set(bytes.subarray(position, position + length), offset);
      return length;
    },
    writeSync: (buffer, offset, length, position) => {
      bytes.set(buffer.subarray(offset, offset + length), position);
      return length;
    },
    datasync: async () => undefined,
  };
}

/** A file that pgbench never reads. */
function writeOnly(): WorkFile {
  const readSync = (): never => {
    throw new Error('this file is only written');
  };
  return { readSync, writeSync: (_buffer, _offset, length) => length, datasync: async () => undefined };
}
