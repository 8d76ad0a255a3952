/** A client that sees the bytes: sends commands or raw bytes, and hands back replies in order. */
import { connect, type Socket } from 'node:net';
import { decodeReply, encodeCommand, type Reply, ReplyReader } from './reply-reader.ts';

/** Longer than any test waits for a reply on a loaded machine. */
const REPLY_MS_MAX = 20_000;

export class TestClient {
  readonly socket: Socket;
  private readonly reader = new ReplyReader();
  private waiting: (() => void) | undefined;
  private ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.reader.push(chunk);
      this.waiting?.();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.ended = true;
      this.waiting?.();
    });
  }

  static connect(port: number, host = '127.0.0.1'): Promise<TestClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        resolve(new TestClient(socket));
      });
    });
  }

  send(...words: (string | Uint8Array)[]): void {
    this.socket.write(encodeCommand(words));
  }

  sendRaw(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** The next reply's bytes; undefined when the server closed the connection instead. */
  async receive(): Promise<Buffer | undefined> {
    for (;;) {
      const reply = this.reader.next();
      if (reply !== undefined) return reply;
      if (this.ended) return undefined;
      await this.wait();
    }
  }

  /** Sends a command and decodes its reply. */
  async call(...words: (string | Uint8Array)[]): Promise<Reply> {
    this.send(...words);
    const reply = await this.receive();
    if (reply === undefined) throw new Error(`connection closed instead of a reply to ${words[0]}`);
    return decodeReply(reply);
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    while (!this.ended) await this.wait();
  }

  close(): void {
    this.socket.destroy();
  }

  private wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no reply')), REPLY_MS_MAX);
      this.waiting = () => {
        clearTimeout(timer);
        this.waiting = undefined;
        resolve();
      };
    });
  }
}
