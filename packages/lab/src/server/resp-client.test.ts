import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { WrongAnswer } from '../benchmark.ts';
import { Xorshift32 } from '../rng.ts';
import { keyName, TextValues } from '../text-values.ts';
import { VALUE_BYTES } from './redis-benchmark.ts';
import { RespClient } from './resp-client.ts';

const text = new Uint8Array(20_000);
const rng = new Xorshift32(3);
for (let index = 0; index < text.length; index += 1) text[index] = 32 + rng.below(90);
const values = new TextValues(text, VALUE_BYTES);
const KEYS = 1_300;

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

/** A server that answers each parsed command with what `answer` returns, in pieces of an odd size. */
async function serve(answer: (command: Buffer[]) => Buffer): Promise<RespClient> {
  const server = createServer((socket) => {
    let pending = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      pending = Buffer.concat([pending, bytes]);
      const replies: Buffer[] = [];
      for (let next = commandAt(pending); next !== null; next = commandAt(pending)) {
        replies.push(answer(next.words));
        pending = pending.subarray(next.end);
      }
      writeInPieces(socket, Buffer.concat(replies));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  return RespClient.connect(address.port, 'fake');
}

function writeInPieces(socket: Socket, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 777) socket.write(bytes.subarray(at, at + 777));
}

function commandAt(bytes: Buffer): { words: Buffer[]; end: number } | null {
  let at = 0;
  const line = () => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return null;
    const text = bytes.toString('latin1', at + 1, end);
    at = end + 2;
    return Number(text);
  };
  const count = line();
  if (count === null) return null;
  const words: Buffer[] = [];
  for (let word = 0; word < count; word += 1) {
    const length = line();
    if (length === null || at + length + 2 > bytes.length) return null;
    words.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length + 2;
  }
  return { words, end: at };
}

const bulk = (value: Uint8Array) => Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]);
const allKeys = Array.from({ length: KEYS }, (_, index) => index);

describe('RespClient', () => {
  it('loads every value and reads each back', async () => {
    const held = new Map<string, Buffer>();
    const client = await serve(([name, key, value]) => {
      if (`${name}` === 'SET') {
        held.set(`${key}`, value);
        return Buffer.from('+OK\r\n');
      }
      return bulk(held.get(`${key}`) ?? Buffer.alloc(0));
    });
    await client.load(values, KEYS);
    assert.equal(held.size, KEYS);
    assert.ok([...held.values()].every((value) => value.length === VALUE_BYTES));
    await client.verify(values, allKeys);
    client.close();
  });

  it('calls a refused SET a wrong answer', async () => {
    const client = await serve(() => Buffer.from('-OOM command not allowed\r\n'));
    await assert.rejects(client.load(values, 10), WrongAnswer);
    client.close();
  });

  it('calls a value of another key a wrong answer', async () => {
    const client = await serve(([, key]) =>
      bulk(values.value(`${key}` === keyName(700) ? 701 : Number(`${key}`.slice(4)))),
    );
    await client.verify(values, allKeys.slice(0, 700));
    await assert.rejects(client.verify(values, allKeys), /GET key:000000000700/);
    client.close();
  });

  it('fails when the server goes away', async () => {
    const client = await serve(() => Buffer.alloc(0));
    const loading = client.load(values, 10);
    client.close();
    await assert.rejects(loading, /closed the connection/);
  });
});

describe('keyName', () => {
  it('is what redis-benchmark makes of key:__rand_int__', () => {
    assert.equal(keyName(0), 'key:000000000000');
    assert.equal(keyName(511_999), 'key:000000511999');
  });
});
