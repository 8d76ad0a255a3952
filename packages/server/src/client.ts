/** What the server knows about one connected client, the socket aside. */
import type { Command } from './command-table.ts';
import type { Database, Watcher } from './keyspace.ts';
import type { Request } from './resp/request.ts';

export const REPLY_ON = 0;
export const REPLY_OFF = 1;
/** The next command is not answered. */
export const REPLY_SKIP_NEXT = 2;
/** The command running now is that next one. */
export const REPLY_SKIP = 3;
export type ReplyMode = typeof REPLY_ON | typeof REPLY_OFF | typeof REPLY_SKIP_NEXT | typeof REPLY_SKIP;

/** The transport as commands see it. */
export interface Link {
  /** 'address:port'. */
  readonly remote: string;
  readonly local: string;
  readonly fd: number;
  /** Bytes read and not yet executed. */
  readonly queryBytes: number;
  /** Bytes of replies the kernel has not taken. */
  readonly replyBytes: number;
  readonly replyCount: number;
  /** Sends what was answered, then closes. */
  closeAfterReply(): void;
  /** Closes now. */
  destroy(): void;
}

export interface QueuedCommand {
  command: Command;
  request: Request;
}

interface WatchedKey {
  db: Database;
  key: string;
  wasPresent: boolean;
}

export class Client implements Watcher {
  readonly id: number;
  readonly link: Link;
  readonly createdMs: number;
  lastActiveMs: number;
  db: Database;
  resp: 2 | 3 = 2;
  name = '';
  libraryName = '';
  libraryVersion = '';
  isNoEvict = false;
  isNoTouch = false;
  isClosing = false;
  lastCommand: Command | undefined;
  /** Commands queued since MULTI; undefined outside a transaction. */
  queue: QueuedCommand[] | undefined;
  queueBytes = 0;
  /** A command could not be queued: EXEC will refuse. */
  isAborted = false;
  /** A watched key was changed. */
  isDirty = false;
  /** Any state in which a command is not simply run: kept by `refresh`, so that the usual case tests one field. */
  isSpecial = false;
  private watched: WatchedKey[] = [];
  private authenticated = false;
  private mode: ReplyMode = REPLY_ON;

  constructor(id: number, link: Link, db: Database, nowMs: number) {
    this.id = id;
    this.link = link;
    this.db = db;
    this.createdMs = nowMs;
    this.lastActiveMs = nowMs;
    this.refresh();
  }

  get isAuthenticated(): boolean {
    return this.authenticated;
  }

  set isAuthenticated(value: boolean) {
    this.authenticated = value;
    this.refresh();
  }

  get replyMode(): ReplyMode {
    return this.mode;
  }

  set replyMode(mode: ReplyMode) {
    this.mode = mode;
    this.refresh();
  }

  beginTransaction(): void {
    this.queue = [];
    this.queueBytes = 0;
    this.isAborted = false;
    this.refresh();
  }

  /** Leaves the transaction and forgets the watched keys, as EXEC and DISCARD do. */
  endTransaction(): void {
    this.queue = undefined;
    this.queueBytes = 0;
    this.isAborted = false;
    this.unwatch();
    this.refresh();
  }

  watch(key: string): void {
    if (this.watched.some((entry) => entry.db === this.db && entry.key === key)) return;
    const wasPresent = this.db.map.has(Buffer.from(key, 'latin1'));
    this.watched.push({ db: this.db, key, wasPresent });
    this.db.watch(key, this);
  }

  unwatch(): void {
    for (const { db, key } of this.watched) db.unwatch(key, this);
    this.watched = [];
    this.isDirty = false;
  }

  get watchedCount(): number {
    return this.watched.length;
  }

  /** A watched key that was there is gone: expired or evicted, which nobody signals. */
  hasLostWatchedKey(): boolean {
    return this.watched.some(({ db, key, wasPresent }) => wasPresent && !db.map.has(Buffer.from(key, 'latin1')));
  }

  private refresh(): void {
    this.isSpecial = !this.authenticated || this.queue !== undefined || this.mode !== REPLY_ON;
  }
}
