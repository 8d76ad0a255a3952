/** The clients people use, over a real socket: ioredis and node-redis, with the server on Quire. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { QuireStore } from './quire-store.ts';
import { Server } from './server.ts';

async function serve(t: TestContext, requirepass = ''): Promise<Server> {
  const store = await QuireStore.open({ budget: 32 << 20, swapSize: 0, swapFile: undefined, threads: 0 });
  const server = await Server.listen({ store, port: 0, requirepass });
  t.after(() => server.close());
  return server;
}

describe('ioredis', () => {
  it('connects, and does its usual work', async (t) => {
    const server = await serve(t);
    const redis = new Redis({ port: server.port, host: '127.0.0.1', connectionName: 'app', lazyConnect: true });
    t.after(() => redis.disconnect());
    await redis.connect();
    assert.equal(await redis.set('a', '1', 'EX', 100), 'OK');
    assert.equal(await redis.incr('a'), 2);
    assert.equal(await redis.get('a'), '2');
    assert.deepEqual(await redis.mget('a', 'none'), ['2', null]);
    assert.deepEqual(await redis.getBuffer('a'), Buffer.from('2'));
    const results = await redis.pipeline().set('p', 'x').get('p').incr('p').exec();
    assert.equal(results?.[1][1], 'x');
    assert.match(String(results?.[2][0]), /not an integer/);
    const transaction = await redis.multi().incr('n').incr('n').exec();
    assert.deepEqual(transaction, [
      [null, 1],
      [null, 2],
    ]);
    await redis.watch('n');
    const other = redis.duplicate();
    t.after(() => other.disconnect());
    await other.set('n', '9');
    assert.equal(await redis.multi().incr('n').exec(), null);
    const keys: string[] = [];
    for await (const page of redis.scanStream({ match: '*', count: 10 })) keys.push(...(page as string[]));
    assert.deepEqual([...new Set(keys)].sort(), ['a', 'n', 'p']);
    assert.match(await redis.info(), /redis_version:7/);
    assert.match(String(await redis.client('LIST')), /name=app/);
    assert.equal(await redis.quit(), 'OK');
  });

  it('gives a password', async (t) => {
    const server = await serve(t, 'secret');
    const redis = new Redis({ port: server.port, host: '127.0.0.1', password: 'secret' });
    t.after(() => redis.disconnect());
    assert.equal(await redis.ping(), 'PONG');
  });
});

describe('node-redis', () => {
  for (const RESP of [2, 3] as const) {
    it(`connects and does its usual work in RESP${RESP}`, async (t) => {
      const server = await serve(t);
      const client = createClient({ url: `redis://127.0.0.1:${server.port}/2`, RESP, name: 'app' });
      client.on('error', () => {});
      t.after(() => client.destroy());
      await client.connect();
      assert.equal(await client.set('a', '1', { expiration: { type: 'EX', value: 100 }, condition: 'NX' }), 'OK');
      assert.equal(await client.get('a'), '1');
      assert.equal(await client.get('none'), null);
      assert.equal(await client.ttl('a'), 100);
      assert.equal(await client.incrByFloat('a', 0.5), '1.5');
      assert.deepEqual(await client.mGet(['a', 'none']), ['1.5', null]);
      assert.deepEqual(await client.multi().set('m', '1').incr('m').exec(), ['OK', 2]);
      assert.deepEqual({ ...(await client.configGet('databases')) }, { databases: '16' });
      const info = await client.clientInfo();
      assert.equal(info.name, 'app');
      assert.equal(info.db, 2);
      const keys: string[] = [];
      for await (const page of client.scanIterator()) keys.push(...(Array.isArray(page) ? page : [page]));
      assert.deepEqual(keys.sort(), ['a', 'm']);
      const lcs = await client.mSet({ x: 'ohmytext', y: 'mynewtext' }).then(() => client.lcsIdx('x', 'y'));
      assert.equal(lcs.len, 6);
      await assert.rejects(client.sendCommand(['NOSUCH']), /unknown command 'NOSUCH'/);
      assert.equal((await client.commandInfo(['get']))[0]?.name, 'get');
    });
  }

  it('gives a password, and is refused with a wrong one', async (t) => {
    const server = await serve(t, 'secret');
    const client = createClient({ url: `redis://:secret@127.0.0.1:${server.port}` });
    client.on('error', () => {});
    t.after(() => client.destroy());
    await client.connect();
    assert.equal(await client.ping(), 'PONG');
    const wrong = createClient({
      url: `redis://:wrong@127.0.0.1:${server.port}`,
      socket: { reconnectStrategy: false },
    });
    wrong.on('error', () => {});
    await assert.rejects(wrong.connect(), /WRONGPASS/);
  });
});
