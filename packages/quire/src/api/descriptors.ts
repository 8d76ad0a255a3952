/**
 * Descriptors that outlive the thread that wanted them. A file's descriptor serves all threads of the process, but Node
 * closes what a worker has opened when the worker ends; others would then read and write whatever file gets the number
 * next. So an attached worker asks the instance's owner, over a BroadcastChannel, to open and close for it: without the
 * owner there is no instance anyway. The main thread's are never closed behind its back: it needs nobody.
 */
import { randomUUID } from 'node:crypto';
import { close, open } from 'node:fs';
import { promisify } from 'node:util';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const openHere = promisify(open);
const closeHere = promisify(close);

/** A question is repeated to nobody: how often one that waits looks whether the instance is still there. */
const LOOK_MS = 100;

interface Question {
  readonly question: string;
  readonly open?: { readonly path: string | Uint8Array; readonly flags: number; readonly mode: number };
  readonly close?: number;
}

interface Answer {
  readonly answer: string;
  readonly fd: number;
  /** What an error would lose on its way. */
  readonly error?: Pick<NodeJS.ErrnoException, 'message' | 'code' | 'errno' | 'syscall'>;
}

interface Waiting {
  readonly resolve: (fd: number) => void;
  readonly reject: (error: unknown) => void;
}

export class Descriptors {
  private readonly name: string;
  private readonly isOwner: boolean;
  /** Throws once nobody will answer. */
  private readonly checkAlive: () => void;
  private readonly waiting = new Map<string, Waiting>();
  private channel: BroadcastChannel | undefined;

  /** `name` of the instance's channel. */
  constructor(name: string, isOwner: boolean, checkAlive: () => void) {
    this.name = name;
    this.isOwner = isOwner;
    this.checkAlive = checkAlive;
  }

  /** Throws the system's error. */
  open(path: string | Buffer, flags: number, mode: number): Promise<number> {
    if (this.isOwner || isMainThread) return openHere(path, flags, mode);
    return this.ask({ open: { path, flags, mode } });
  }

  async close(fd: number): Promise<void> {
    if (this.isOwner || isMainThread) await closeHere(fd);
    else await this.ask({ close: fd });
  }

  /** The owner answers from now on: its handle has been given out. */
  serve(): void {
    if (this.isOwner) this.listen();
  }

  end(): void {
    this.channel?.close();
    this.channel = undefined;
  }

  private listen(): BroadcastChannel {
    if (this.channel !== undefined) return this.channel;
    const channel = new BroadcastChannel(this.name);
    channel.onmessage = (event): void => this.onMessage((event as { readonly data: Question | Answer }).data);
    channel.unref();
    this.channel = channel;
    return channel;
  }

  private onMessage(message: Question | Answer): void {
    if ('question' in message) {
      if (this.isOwner) void this.reply(message);
      return;
    }
    const waiting = this.waiting.get(message.answer);
    if (message.error === undefined) waiting?.resolve(message.fd);
    else waiting?.reject(Object.assign(new Error(message.error.message), message.error));
  }

  private async reply({ question, open: wanted, close: fd }: Question): Promise<void> {
    let answer: Answer;
    try {
      if (fd !== undefined) await closeHere(fd);
      // A Buffer comes over as a Uint8Array.
      const path = typeof wanted?.path === 'string' ? wanted.path : Buffer.from(wanted?.path ?? []);
      answer = { answer: question, fd: wanted === undefined ? -1 : await openHere(path, wanted.flags, wanted.mode) };
    } catch (error) {
      const { message, code = '', errno = 0, syscall = '' } = error as NodeJS.ErrnoException;
      answer = { answer: question, fd: -1, error: { message, code, errno, syscall } };
    }
    this.channel?.postMessage(answer);
  }

  private async ask(what: Omit<Question, 'question'>): Promise<number> {
    const channel = this.listen();
    const question = randomUUID();
    // Alive only while somebody waits.
    channel.ref();
    let timer: ReturnType<typeof setInterval> | undefined;
    try {
      return await new Promise<number>((resolve, reject) => {
        this.waiting.set(question, { resolve, reject });
        timer = setInterval(() => {
          try {
            this.checkAlive();
          } catch (error) {
            reject(error);
          }
        }, LOOK_MS);
        channel.postMessage({ question, ...what } satisfies Question);
      });
    } finally {
      clearInterval(timer);
      this.waiting.delete(question);
      if (this.waiting.size === 0) channel.unref();
    }
  }
}
