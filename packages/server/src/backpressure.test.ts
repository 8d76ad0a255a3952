import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { encodeCommand, ReplyReader } from './testing/reply-reader.ts';
import { startTestServer } from './testing/test-server.ts';

const MIB = 1024 * 1024;

describe('back-pressure', () => {
  it('holds back a client that does not read, and gives it everything when it does', async (t) => {
    const { server, client } = await startTestServer(t);
    const value = 'v'.repeat(256 * 1024);
    await (await client()).call('SET', 'k', value);
    const requests = 2000;
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    socket.pause();
    socket.write(Buffer.concat(Array.from({ length: requests }, () => encodeCommand(['GET', 'k']))));
    const slow = await heldBack();
    assert.ok(slow.link.replyBytes < 3 * MIB, `${slow.link.replyBytes} bytes wait`);
    assert.ok(slow.link.queryBytes <= 128 * 1024);
    assert.equal(await (await client()).call('PING'), 'PONG');
    const reader = new ReplyReader();
    let replies = 0;
    let most = 0;
    socket.on('data', (chunk) => {
      reader.push(chunk);
      most = Math.max(most, slow.link.replyBytes);
      for (let reply = reader.next(); reply !== undefined; reply = reader.next()) {
        assert.equal(reply.length, value.length + 11);
        replies++;
      }
      if (replies === requests) socket.end();
    });
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal(replies, requests);
    assert.ok(most < 3 * MIB, `${most} bytes waited`);

    async function heldBack() {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        const found = server.clients().find(({ link }) => link.replyBytes > MIB);
        if (found !== undefined && server.stats.clientsHeldBack > 0) return found;
      }
    }
  });

  it('bounds many small replies as well', async (t) => {
    const { server } = await startTestServer(t);
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    socket.pause();
    const batch = Buffer.from('PING\r\n'.repeat(10_000));
    let sent = 0;
    const isStuck = () => socket.writableLength > 4 * MIB;
    while (!isStuck() && sent < 2000) {
      socket.write(batch);
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(isStuck(), 'the server kept reading');
    for (const { link } of server.clients()) assert.ok(link.replyBytes < 3 * MIB && link.replyCount < 1000);
    socket.destroy();
  });

  it('refuses one command that would answer without bound, and goes on', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    await a.call('SET', 'k', 'v'.repeat(MIB));
    assert.deepEqual(await a.call('MGET', ...Array.from({ length: 200 }, () => 'k')), {
      error: 'ERR reply exceeds the client-output-buffer-limit',
    });
    assert.equal(await a.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 1mb 0 0'), 'OK');
    assert.deepEqual(await a.call('GET', 'k'), { error: 'ERR reply exceeds the client-output-buffer-limit' });
    assert.deepEqual(await a.call('CONFIG', 'SET', 'client-output-buffer-limit', 'bad'), {
      error:
        "ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - Error in hard limit configuration for normal clients",
    });
    assert.equal(await a.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 0 0 0'), 'OK');
    assert.equal(String(await a.call('GET', 'k')).length, MIB);
  });

  it('bounds what a transaction queues', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    await a.call('CONFIG', 'SET', 'client-query-buffer-limit', '1mb');
    await a.call('MULTI');
    assert.equal(await a.call('SET', 'a', 'x'.repeat(600_000)), 'QUEUED');
    assert.deepEqual(await a.call('SET', 'b', 'x'.repeat(600_000)), {
      error: 'ERR transaction exceeds the client-query-buffer-limit',
    });
    assert.deepEqual(await a.call('EXEC'), { error: 'EXECABORT Transaction discarded because of previous errors.' });
    assert.deepEqual(await a.call('MSET', 'a', 'x'.repeat(600_000), 'b', 'x'.repeat(600_000)), {
      error: 'ERR string exceeds maximum allowed size (proto-max-bulk-len)',
    });
    assert.equal(await a.call('DBSIZE'), 0);
  });

  it('answers a long array of keys in one piece', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    for (let i = 0; i < 20_000; i++) a.send('SET', `key:${i}`, 'v');
    for (let i = 0; i < 20_000; i++) await a.receive();
    const keys = (await a.call('KEYS', '*')) as string[];
    assert.equal(new Set(keys).size, 20_000);
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const [next, step] = (await a.call('SCAN', cursor, 'COUNT', '1000')) as [string, string[]];
      for (const key of step) seen.add(key);
      cursor = next;
    } while (cursor !== '0');
    assert.equal(seen.size, 20_000);
  });
});
