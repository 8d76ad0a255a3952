/**
 * A pipelined RESP client, just large enough to load values and to verify them: each batch is one write, and its
 * replies have a known length, so they are compared byte by byte with what they must be.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WrongAnswer } from '../benchmark.ts';
import { keyName, type TextValues } from '../text-values.ts';
import { VALUE_BYTES } from './redis-benchmark.ts';

const BATCH_KEYS = 512;
const CONNECT_ATTEMPTS_MAX = 400;
const CONNECT_WAIT_MS = 25;
const OK = Buffer.from('+OK\r\n');
const CRLF = Buffer.from('\r\n');

export class RespClient {
  readonly #socket: Socket;
  readonly #name: string;
  #received: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  #failure: string | null = null;

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    socket.on('data', (bytes: Buffer) => {
      this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    const fail = (reason: string) => {
      this.#failure = reason;
      this.#wake();
    };
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('the server closed the connection'));
  }

  /**
   * Connects to a server on loopback, waiting up to ten seconds for it to listen.
   * @param name what to call the server in an error
   */
  static async connect(port: number, name: string): Promise<RespClient> {
    for (let attempt = 1; ; attempt += 1) {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      try {
        await once(socket, 'connect');
        return new RespClient(socket, name);
      } catch (error) {
        socket.destroy();
        if (attempt === CONNECT_ATTEMPTS_MAX) throw error;
        await new Promise((resolve) => setTimeout(resolve, CONNECT_WAIT_MS));
      }
    }
  }

  /** SETs keys 0 … count − 1. Throws WrongAnswer when a reply is not OK. */
  async load(values: TextValues, count: number): Promise<void> {
    for (let from = 0; from < count; from += BATCH_KEYS) {
      const to = Math.min(count, from + BATCH_KEYS);
      const parts: Uint8Array[] = [];
      for (let key = from; key < to; key += 1) {
        const name = keyName(key);
        parts.push(Buffer.from(`*3\r\n$3\r\nSET\r\n$${name.length}\r\n${name}\r\n$${VALUE_BYTES}\r\n`));
        parts.push(values.value(key), CRLF);
      }
      this.#socket.write(Buffer.concat(parts));
      const replies = await this.#take((to - from) * OK.length);
      for (let at = 0; at < replies.length; at += OK.length) {
        if (!replies.subarray(at, at + OK.length).equals(OK)) this.#wrong(`SET answered ${textOf(replies, at)}`);
      }
    }
  }

  /** GETs the keys and compares each value. Throws WrongAnswer when one differs. */
  async verify(values: TextValues, keys: readonly number[]): Promise<void> {
    const head = Buffer.from(`$${VALUE_BYTES}\r\n`);
    const replyBytes = head.length + VALUE_BYTES + CRLF.length;
    for (let from = 0; from < keys.length; from += BATCH_KEYS) {
      const batch = keys.slice(from, from + BATCH_KEYS);
      const names = batch.map(keyName);
      this.#socket.write(names.map((name) => `*2\r\n$3\r\nGET\r\n$${name.length}\r\n${name}\r\n`).join(''));
      const replies = await this.#take(batch.length * replyBytes);
      for (const [index, key] of batch.entries()) {
        const at = index * replyBytes;
        const value = replies.subarray(at + head.length, at + head.length + VALUE_BYTES);
        const isRight = replies.subarray(at, at + head.length).equals(head) && value.equals(values.value(key));
        if (!isRight) this.#wrong(`GET ${keyName(key)} answered ${textOf(replies, at)}`);
      }
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** The next `length` bytes. An error reply is shorter, so it is noticed before it is waited for in vain. */
  async #take(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      if (this.#failure !== null) throw new Error(`${this.#name}: ${this.#failure}`);
      if (this.#received.length > 0 && this.#received[0] === 0x2d) this.#wrong(`answered ${textOf(this.#received, 0)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  #wrong(what: string): never {
    throw new WrongAnswer(`${this.#name}: ${what}`);
  }
}

function textOf(replies: Buffer, at: number): string {
  return JSON.stringify(replies.subarray(at, at + 60).toString('latin1'));
}
