/**
 * pgbench's simple-update as the file work it causes (reference: PostgreSQL's pgbench and WAL documentation):
 *
 *   UPDATE accounts    read the row's page of 8 KiB, change the balance, write the page
 *   SELECT             read the page again; the balance must be the one just written
 *   INSERT history     a record at the end of the history
 *   COMMIT             WAL records of both; the transaction ends when they are durable
 *
 * The first change of a page after a checkpoint puts the whole page into the WAL, later ones a short record
 * (full_page_writes). WAL is written in groups of at most 1 MiB, when a group is full or nobody is left to run, and made
 * durable for all that wait, one flush at a time, while other clients go on (group commit). A group fills whole WAL blocks
 * of 8 KiB. WAL segments are used again: a file of fixed size, written round and round. A checkpoint starts every few seconds, or when half of that file
 * was written since the last, and makes the accounts durable while the clients go on.
 *
 * A client is a number: which transaction it is in, and since when. All run in one thread, which gives the event loop a
 * turn after each group.
 */
import { WrongAnswer } from '../benchmark.ts';
import { Xorshift32 } from '../rng.ts';
import { ACCOUNT_PAGE_BYTES, balanceAt, ROWS_PER_PAGE } from './accounts.ts';

export interface WorkFile {
  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number;
  writeSync(buffer: Uint8Array, offset: number, length: number, position: number): number;
  datasync(): Promise<void>;
}

export interface WorkFiles {
  readonly accounts: WorkFile;
  readonly wal: WorkFile;
  readonly history: WorkFile;
}

export interface PgbenchOptions {
  readonly clients: number;
  readonly accountPages: number;
  readonly walBytes: number;
  readonly checkpointMs: number;
  readonly seed: number;
  /** Called after each group was written: where, and how many bytes. */
  readonly onGroup?: (position: number, bytes: number) => void;
}

export const GROUP_BYTES_MAX = 2 ** 20;
/** XLOG_BLCKSZ. */
export const WAL_BLOCK_BYTES = 8192;
export const HISTORY_BYTES = 52;
const DELTA_MAX = 5000;
/** Heap update, history insert and commit, without page images: about what pg_waldump shows. */
const RECORD_BYTES = 256;
const RECORD_WITH_IMAGE_BYTES = RECORD_BYTES + ACCOUNT_PAGE_BYTES;

export class Pgbench {
  /** ms from a transaction's start to its commit. */
  readonly latenciesMs: number[] = [];
  checkpoints = 0;
  groups = 0;
  walBytes = 0;
  /** Pages that were put into the WAL whole. */
  images = 0;
  /** Sum of all deltas committed. */
  deltaSum = 0;
  readonly #files: WorkFiles;
  readonly #options: PgbenchOptions;
  readonly #rng: Xorshift32;
  readonly #page = new Int32Array(ACCOUNT_PAGE_BYTES / 4);
  readonly #pageBytes = Buffer.from(this.#page.buffer);
  readonly #group = Buffer.alloc(GROUP_BYTES_MAX);
  #groupBytes = 0;
  readonly #history: Buffer;
  #historyBytes = 0;
  #historyEnd = 0;
  #walAt = 0;
  #walSinceCheckpoint = 0;
  /** A bit a page: its image is in the WAL since the last checkpoint. */
  readonly #imaged: Uint8Array;
  /** Start of the transaction of each client. */
  readonly #since: Float64Array;
  #idle: number[];
  /** Clients whose records are written, not yet durable; and in a group not yet written. */
  #written: number[] = [];
  #grouped: number[] = [];
  #flushing: Promise<void> | null = null;
  #checkpointing: Promise<void> | null = null;
  #checkpointAt = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(files: WorkFiles, options: PgbenchOptions) {
    this.#files = files;
    this.#options = options;
    this.#rng = new Xorshift32(options.seed);
    this.#imaged = new Uint8Array(options.accountPages);
    this.#since = new Float64Array(options.clients);
    this.#idle = Array.from({ length: options.clients }, (_, client) => client);
    this.#history = Buffer.alloc(options.clients * HISTORY_BYTES);
  }

  /** Runs transactions for `ms`, then until those under way are durable. Returns the ms it took. */
  async run(ms: number): Promise<number> {
    const start = performance.now();
    this.#checkpointAt = start + this.#options.checkpointMs;
    while (performance.now() - start < ms) {
      this.#runIdle();
      this.#maybeCheckpoint();
      this.#startFlush();
      if (this.#idle.length === 0 && this.#flushing !== null) await this.#flushing;
      else await turn();
      if (this.#failure !== null) throw this.#failure.error;
    }
    while (this.#grouped.length > 0 || this.#written.length > 0 || this.#flushing !== null) {
      this.#writeGroup();
      this.#startFlush();
      await this.#flushing;
      if (this.#failure !== null) throw this.#failure.error;
    }
    const took = performance.now() - start;
    await this.#checkpointing;
    return took;
  }

  /** Idle clients run until a group is full; the last group of a round is written as it is. */
  #runIdle(): void {
    const groups = this.groups;
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) {
      this.#since[client] = performance.now();
      this.#transact(client);
      if (this.groups !== groups) return;
    }
    this.#writeGroup();
  }

  #transact(client: number): void {
    const { accountPages } = this.#options;
    const { accounts } = this.#files;
    const page = this.#rng.below(accountPages);
    const at = balanceAt(this.#rng.below(ROWS_PER_PAGE));
    const delta = this.#rng.below(2 * DELTA_MAX + 1) - DELTA_MAX;
    const position = page * ACCOUNT_PAGE_BYTES;
    this.#readPage(page, position);
    const balance = this.#page[at] + delta;
    this.#page[at] = balance;
    if (accounts.writeSync(this.#pageBytes, 0, ACCOUNT_PAGE_BYTES, position) !== ACCOUNT_PAGE_BYTES) shortWrite();
    this.#readPage(page, position);
    if (this.#page[at] !== balance) throw new WrongAnswer(`page ${page} lost an update`);
    this.deltaSum += delta;
    this.#addHistory(client, page, delta);
    this.#addWal(client, page);
  }

  #readPage(page: number, position: number): void {
    const count = this.#files.accounts.readSync(this.#pageBytes, 0, ACCOUNT_PAGE_BYTES, position);
    if (count !== ACCOUNT_PAGE_BYTES || this.#page[0] !== page) {
      throw new WrongAnswer(`page ${page} has number ${this.#page[0]}, ${count} bytes`);
    }
  }

  #addHistory(client: number, page: number, delta: number): void {
    const at = this.#historyBytes;
    this.#history.writeInt32LE(client, at);
    this.#history.writeInt32LE(page, at + 4);
    this.#history.writeInt32LE(delta, at + 8);
    this.#historyBytes = at + HISTORY_BYTES;
  }

  #addWal(client: number, page: number): void {
    const isImage = this.#imaged[page] === 0;
    const bytes = isImage ? RECORD_WITH_IMAGE_BYTES : RECORD_BYTES;
    if (this.#groupBytes + bytes > GROUP_BYTES_MAX) this.#writeGroup();
    if (isImage) {
      this.#imaged[page] = 1;
      this.images += 1;
      this.#group.set(this.#pageBytes, this.#groupBytes + RECORD_BYTES);
    }
    this.#group.writeInt32LE(page, this.#groupBytes);
    this.#groupBytes += bytes;
    this.#grouped.push(client);
  }

  /** One call for the WAL and one for the history of all transactions of the group. */
  #writeGroup(): void {
    if (this.#groupBytes === 0) return;
    const { wal, history } = this.#files;
    const bytes = Math.ceil(this.#groupBytes / WAL_BLOCK_BYTES) * WAL_BLOCK_BYTES;
    if (this.#walAt + bytes > this.#options.walBytes) this.#walAt = 0;
    if (wal.writeSync(this.#group, 0, bytes, this.#walAt) !== bytes) shortWrite();
    this.#options.onGroup?.(this.#walAt, bytes);
    this.#walAt += bytes;
    this.#walSinceCheckpoint += bytes;
    this.walBytes += bytes;
    this.groups += 1;
    if (history.writeSync(this.#history, 0, this.#historyBytes, this.#historyEnd) !== this.#historyBytes) shortWrite();
    this.#historyEnd += this.#historyBytes;
    this.#historyBytes = 0;
    this.#groupBytes = 0;
    for (const client of this.#grouped) this.#written.push(client);
    this.#grouped = [];
  }

  #startFlush(): void {
    if (this.#flushing !== null || this.#written.length === 0) return;
    const clients = this.#written;
    this.#written = [];
    const flushed = this.#files.wal.datasync().then(() => this.#commit(clients));
    this.#flushing = flushed
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#flushing = null;
      });
  }

  #commit(clients: readonly number[]): void {
    const now = performance.now();
    for (const client of clients) {
      this.latenciesMs.push(now - this.#since[client]);
      this.#idle.push(client);
    }
  }

  #maybeCheckpoint(): void {
    if (this.#checkpointing !== null) return;
    const isDue = performance.now() >= this.#checkpointAt || this.#walSinceCheckpoint > this.#options.walBytes / 2;
    if (!isDue) return;
    this.#checkpointAt = performance.now() + this.#options.checkpointMs;
    this.#walSinceCheckpoint = 0;
    this.#imaged.fill(0);
    const synced = this.#files.accounts.datasync().then(() => {
      this.checkpoints += 1;
    });
    this.#checkpointing = synced
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#checkpointing = null;
      });
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }
}

function shortWrite(): never {
  throw new WrongAnswer('a write was short');
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
