/**
 * Scripts of commands, run against a real Redis and recorded, or against this server and compared. One line is one step:
 *
 *   [marks] COMMAND arguments…     words as in an inline command, quotes and escapes included
 *   [marks] raw "bytes"            sent as they are
 *   # comment                      '# server: FLAGS' gives flags of redis-server that the script needs
 *
 *   @2        sent by client 2 (client 1 without the mark); clients connect when they are first named
 *   !3        three replies are awaited instead of one; !0 none
 *   !close    replies until the server closes the connection
 *   ~digits   numbers in the reply are not compared
 *   ~sort     the order of the elements is not compared
 */
import { splitInline } from '../resp/inline.ts';
import { decodeReply, encodeCommand, type Reply } from './reply-reader.ts';
import { TestClient } from './test-client.ts';

export interface Step {
  line: string;
  client: number;
  /** Replies awaited, -1 = until the connection closes. */
  replies: number;
  mask: 'none' | 'digits' | 'sort';
  bytes: Buffer;
}

export function parseScript(text: string): Step[] {
  const steps: Step[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() !== '' && !line.startsWith('#')) steps.push(parseStep(line));
  }
  return steps;
}

/** Flags for redis-server that the script asks for. */
export function scriptFlags(text: string): string[] {
  const match = /^# server: (.*)$/m.exec(text);
  return match === null ? [] : match[1].split(' ');
}

function parseStep(line: string): Step {
  const source = Buffer.from(line, 'latin1');
  const words = splitInline(source, 0, source.length);
  if (words === undefined) throw new Error(`quotes do not balance: ${line}`);
  const step: Step = { line, client: 1, replies: 1, mask: 'none', bytes: Buffer.alloc(0) };
  let first = 0;
  for (; first < words.length; first++) {
    const mark = Buffer.from(words[first]).toString('latin1');
    if (/^@\d+$/.test(mark)) step.client = Number(mark.slice(1));
    else if (mark === '!close') step.replies = -1;
    else if (/^!\d+$/.test(mark)) step.replies = Number(mark.slice(1));
    else if (mark === '~digits' || mark === '~sort') step.mask = mark === '~digits' ? 'digits' : 'sort';
    else break;
  }
  const rest = words.slice(first);
  const isRaw = Buffer.from(rest[0]).toString('latin1') === 'raw';
  step.bytes = isRaw ? Buffer.from(rest[1]) : encodeCommand(rest);
  return step;
}

/** Runs a script against the server on `port`, from an empty keyspace; returns what each step was answered, masked. */
export async function runScript(port: number, steps: readonly Step[], password?: string): Promise<string[]> {
  const cleaner = await TestClient.connect(port);
  if (password !== undefined) await cleaner.call('AUTH', password);
  await cleaner.call('FLUSHALL');
  cleaner.close();
  const clients = new Map<number, TestClient>();
  const answers: string[] = [];
  try {
    for (const step of steps) {
      let client = clients.get(step.client);
      if (client === undefined) {
        client = await TestClient.connect(port);
        clients.set(step.client, client);
      }
      client.sendRaw(step.bytes);
      answers.push(await collect(client, step));
    }
  } finally {
    for (const client of clients.values()) client.close();
  }
  return answers;
}

async function collect(client: TestClient, step: Step): Promise<string> {
  let text = '';
  for (let i = 0; step.replies < 0 || i < step.replies; i++) {
    const reply = await client.receive();
    if (reply === undefined) return `${text}<closed>`;
    text += mask(reply, step.mask);
  }
  return text;
}

function mask(reply: Buffer, kind: Step['mask']): string {
  const text = reply.toString('latin1');
  if (kind === 'digits') return text.replace(/\$\d+\r\n(\d+)\r\n/g, '$$N\r\nN\r\n').replace(/:\d+/g, ':N');
  if (kind === 'none') return text;
  return JSON.stringify(sorted(decodeReply(reply)));
}

/** Sorts every array that holds text alone; pairs stay pairs. */
function sorted(reply: Reply): Reply {
  if (!Array.isArray(reply)) return reply;
  const inner = reply.map(sorted);
  return inner.every((item) => typeof item === 'string') ? inner.sort() : inner;
}
