/**
 * One implementation, one process. A child prints one JSON object a line; before each of its phases it waits for a line
 * on standard input, so that the parent chooses when a phase starts and can look at the machine between phases.
 *
 *     parent  ◀── {"ready":true} ──  child, once it can start       (or {"absent":"reason"})
 *     parent  ──── a phase line ──▶  child runs that phase
 *     parent  ◀─────── {...} ──────  its result
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ColumnAbsent, WrongAnswer } from './benchmark.ts';
import { undoLater } from './undo.ts';

/** Exit status of a child that found a wrong answer; native/host-swap.c uses it too. */
const WRONG_ANSWER_STATUS = 3;

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments for node itself (`--expose-gc`); only for startNodeChild. */
  readonly nodeArgs?: readonly string[];
}

/** How a child failed. */
interface Ending {
  readonly how: string;
  readonly isWrongAnswer: boolean;
}

/** A child that ended before its work was done: killed by the kernel, or with a status other than 0. */
export class ChildEnded extends Error {
  override readonly name = 'ChildEnded';
}

export class Child {
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #command: string;
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<Ending | null>;
  readonly #kill: () => void;

  constructor(command: string, args: readonly string[], options: ChildOptions = {}) {
    this.#command = [command, ...args].join(' ').slice(0, 200);
    this.#process = spawn(command, [...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...options.env },
    });
    const { stdin, stdout, pid } = this.#process;
    if (stdin === null || stdout === null) throw new Error(`no pipes to ${this.#command}`);
    this.pid = pid ?? 0;
    stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    this.#exit = new Promise((resolve) => {
      this.#process.on('error', (error) => resolve({ how: error.message, isWrongAnswer: false }));
      this.#process.on('close', (status, signal) => {
        const how = `ended with ${signal ?? status}`;
        resolve(status === 0 ? null : { how, isWrongAnswer: status === WRONG_ANSWER_STATUS });
      });
    });
    this.#kill = undoLater(() => this.#process.kill('SIGKILL'));
  }

  send(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  /** Waits until the child can start. Throws ColumnAbsent when it says why it cannot. */
  async ready(column: string): Promise<void> {
    const first = await this.next<{ absent?: string }>();
    if (first.absent !== undefined) throw new ColumnAbsent(column, first.absent);
  }

  /** The next object the child prints. Throws when the child ends instead, naming how; WrongAnswer when that was why. */
  async next<T>(): Promise<T> {
    const line = await this.#lines.next();
    if (line.done === true)
      throw this.#failure((await this.#exit) ?? { how: 'ended without a result', isWrongAnswer: false });
    return JSON.parse(line.value) as T;
  }

  /** Starts the phase the child waits for and gives its result. */
  phase<T>(line: string): Promise<T> {
    this.send(line);
    return this.next<T>();
  }

  /** Closes standard input and waits for the end. Throws when the status is not 0. */
  async end(): Promise<void> {
    this.#process.stdin?.end();
    const ending = await this.#exit;
    this.#kill();
    if (ending !== null) throw this.#failure(ending);
  }

  #failure(ending: Ending): Error {
    const text = `${this.#command}: ${ending.how}`;
    return ending.isWrongAnswer ? new WrongAnswer(text) : new ChildEnded(text);
  }

  /** Ends the child whatever it is doing, and waits until its memory is given back. */
  async kill(): Promise<void> {
    this.#kill();
    await this.#exit;
  }
}

/** Starts a built file of the lab under this Node; `args` reaches the child as JSON (see serveParent). */
export function startNodeChild(file: string, args: unknown, options: ChildOptions = {}): Child {
  return new Child(process.execPath, [...(options.nodeArgs ?? []), file, JSON.stringify(args)], options);
}

/** What a child's main file hands to serveParent. */
export type PhaseRunner = (line: string) => unknown;

/**
 * The main of a child: `prepare` gets the parent's arguments and gives a function that runs one phase and returns its
 * result; `finish` runs when the parent has no more lines. Failures end the process with the status the parent expects.
 */
export async function serveParent<T>(
  prepare: (args: T) => Promise<{ run: PhaseRunner; finish?: () => Promise<void> }>,
): Promise<void> {
  try {
    const { run, finish } = await prepare(JSON.parse(process.argv[2]) as T);
    tellParent({ ready: true });
    for await (const line of createInterface({ input: process.stdin })) tellParent(await run(line));
    await finish?.();
  } catch (error) {
    if (error instanceof ColumnAbsent) {
      tellParent({ absent: error.message });
      return;
    }
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(error instanceof WrongAnswer ? WRONG_ANSWER_STATUS : 1);
  }
}

function tellParent(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
