/**
 * One client's socket. Reading goes through the server's single read buffer (`onread`), so no buffer is made per read; a batch of
 * commands is answered into the server's writer and handed to the socket with one `write`.
 *
 * Back-pressure: while more than REPLY_QUEUE_BYTES_MAX of replies wait for a client that does not read, its commands are neither read
 * nor executed; what was read already (at most one read buffer) waits in `backlog`.
 *
 *   reading ──queue long──▶ held back ──queue short again──▶ backlog executed ──▶ reading
 *      └──QUIT, protocol error──▶ closing: replies are sent, nothing is read
 */
import type { Socket } from 'node:net';
import { Client, type Link } from './client.ts';
import { BLOCK_BYTES } from './resp/block-pool.ts';
import { MORE, READY, RequestParser } from './resp/parser.ts';
import type { Server } from './server.ts';
import { adoptSocket } from './socket.ts';

/** Replies waiting for one client above which it is held back. */
const REPLY_QUEUE_BYTES_MAX = 1024 * 1024;
/** Below this it goes on. */
const REPLY_QUEUE_BYTES_LOW = 256 * 1024;
/** Writes waiting: each costs a few hundred bytes of heap beside its data. */
const REPLY_QUEUE_WRITES_MAX = 256;
/** A batch is handed over when it has grown to this, at the end of a command. */
const FLUSH_BYTES = BLOCK_BYTES / 2;
/** How long a closing client may take to read its last replies. */
const LINGER_MS = 5000;

export class Connection implements Link {
  readonly client: Client;
  readonly remote: string;
  readonly local: string;
  readonly fd: number;
  private readonly server: Server;
  private readonly socket: Socket;
  private readonly parser: RequestParser;
  private isHeldBack = false;
  private backlog: Buffer | undefined;
  /** One entry a write under way: its block, where the socket holds on to one. */
  private readonly inFlight: (Buffer | undefined)[] = [];

  constructor(server: Server, accepted: Socket, id: number) {
    this.server = server;
    this.remote = `${accepted.remoteAddress ?? '?'}:${accepted.remotePort ?? 0}`;
    this.local = `${accepted.localAddress ?? '?'}:${accepted.localPort ?? 0}`;
    this.parser = new RequestParser(server.limits);
    this.client = new Client(id, this, server.keyspace.database(0), Date.now());
    const adopted = adoptSocket(accepted, server.readBuffer, (chunk, bytes) => this.onRead(chunk, bytes));
    this.socket = adopted.socket;
    this.fd = adopted.fd;
    this.socket.on('error', () => this.socket.destroy());
    this.socket.once('close', () => {
      this.client.unwatch();
      server.forget(this);
    });
  }

  get queryBytes(): number {
    return this.parser.heldBytes + (this.backlog?.length ?? 0);
  }

  get replyBytes(): number {
    return this.socket.writableLength;
  }

  get replyCount(): number {
    return this.inFlight.length;
  }

  /** Refuses the connection with an error. */
  refuse(error: string): void {
    this.server.out.error(error);
    this.flush();
    this.closeAfterReply();
    this.finish();
  }

  closeAfterReply(): void {
    if (this.client.isClosing) return;
    this.client.isClosing = true;
    this.socket.pause();
  }

  destroy(): void {
    this.client.isClosing = true;
    this.socket.destroy();
  }

  private onRead(chunk: Uint8Array, bytes: number): void {
    if (this.client.isClosing) return;
    this.server.stats.netInputBytes += bytes;
    this.client.lastActiveMs = Date.now();
    this.parser.feed(chunk, 0, bytes);
    this.run();
  }

  /** Executes what was fed, as far as the reply queue allows. */
  private run(): void {
    const { parser, client, server } = this;
    const { out } = server;
    out.resp = client.resp;
    parser.isRestricted = !client.isAuthenticated;
    for (;;) {
      if (this.isQueueLong()) {
        this.holdBack();
        break;
      }
      const outcome = parser.next();
      if (outcome === MORE) break;
      if (outcome === READY) {
        server.dispatcher.dispatch(client, parser.request);
        parser.isRestricted = !client.isAuthenticated;
      } else {
        out.error(`ERR ${parser.error}`);
        this.closeAfterReply();
      }
      if (client.isClosing) break;
      if (out.pending >= FLUSH_BYTES) this.flush();
    }
    this.flush();
    if (client.isClosing) this.finish();
  }

  private isQueueLong(): boolean {
    if (this.inFlight.length === 0) return false;
    return this.socket.writableLength > REPLY_QUEUE_BYTES_MAX || this.inFlight.length > REPLY_QUEUE_WRITES_MAX;
  }

  private holdBack(): void {
    this.backlog = this.parser.takeRest();
    this.isHeldBack = true;
    this.socket.pause();
    this.server.stats.clientsHeldBack++;
  }

  /** Hands the batch's replies to the socket. */
  private flush(): void {
    const { out } = this.server;
    if (out.pending === 0) return;
    const { socket } = this;
    this.server.stats.netOutputBytes += out.pending;
    if (socket.destroyed || !socket.writable) {
      out.reset(false);
      return;
    }
    if (out.sealed.length > 0) {
      socket.cork();
      for (const { buffer, length } of out.sealed) this.write(buffer, length);
      if (out.currentBytes > 0) this.write(out.currentBlock, out.currentBytes);
      out.reset(out.currentBytes > 0);
      socket.uncork();
      return;
    }
    const bytes = out.currentBytes;
    if (socket.writableLength > 0 && bytes < BLOCK_BYTES / 2) {
      this.write(Buffer.from(out.currentBlock.subarray(0, bytes)), bytes);
      out.reset(false);
      return;
    }
    const block = out.currentBlock;
    this.write(block, bytes);
    const isHeld = socket.writableLength > 0;
    if (!isHeld) this.inFlight[this.inFlight.length - 1] = undefined;
    out.reset(isHeld);
  }

  private write(buffer: Buffer, length: number): void {
    this.inFlight.push(buffer);
    this.socket.write(length === buffer.length ? buffer : buffer.subarray(0, length), this.onWritten);
  }

  private readonly onWritten = (): void => {
    const block = this.inFlight.shift();
    if (block !== undefined) this.server.pool.give(block);
    if (!this.isHeldBack || this.socket.destroyed) return;
    if (this.socket.writableLength > REPLY_QUEUE_BYTES_LOW || this.inFlight.length > REPLY_QUEUE_WRITES_MAX / 2) return;
    this.isHeldBack = false;
    const { backlog } = this;
    this.backlog = undefined;
    if (backlog !== undefined) {
      this.parser.feed(backlog, 0, backlog.length);
      this.run();
    }
    if (!this.isHeldBack && !this.client.isClosing) this.socket.resume();
  };

  /** Sends what is queued, then closes; a client that does not read it is cut off. */
  private finish(): void {
    if (this.socket.destroyed) return;
    this.socket.destroySoon();
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
  }
}
