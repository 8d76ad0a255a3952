import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { QuireError } from 'quire';
import { startTestServer } from './testing/test-server.ts';

const OOM = { error: "OOM command not allowed when used memory > 'maxmemory'." };

describe('a store that is full', () => {
  it('refuses writes under noeviction, and serves the rest', async (t) => {
    const { client, store } = await startTestServer(t);
    const a = await client();
    store.database(0).limitBytes = 10_000;
    assert.equal(await a.call('SET', 'a', 'x'.repeat(5000)), 'OK');
    for (const command of [
      ['SET', 'b', 'x'.repeat(6000)],
      ['APPEND', 'a', 'x'.repeat(6000)],
      ['SETRANGE', 'a', '9000', 'x'.repeat(3000)],
    ]) {
      assert.deepEqual(await a.call(...command), OOM, command[0]);
    }
    assert.deepEqual(await a.call('SET', 'a', 'x'.repeat(20_000), 'GET'), OOM);
    assert.equal(await a.call('STRLEN', 'a'), 5000);
    assert.equal(await a.call('EXISTS', 'b'), 0);
    assert.equal(await a.call('DEL', 'a'), 1);
    assert.equal(await a.call('SET', 'b', 'x'.repeat(6000)), 'OK');
  });

  it('undoes MSETNX when the room runs out in the middle', async (t) => {
    const { client, store } = await startTestServer(t);
    const a = await client();
    store.database(0).limitBytes = 10_000;
    assert.deepEqual(await a.call('MSETNX', 'a', 'x'.repeat(4000), 'b', 'x'.repeat(4000), 'c', 'x'.repeat(4000)), OOM);
    assert.equal(await a.call('DBSIZE'), 0);
  });

  it('makes room under allkeys-lru', async (t) => {
    const { client, store, server } = await startTestServer(t, { policy: 'allkeys-lru' });
    const a = await client();
    store.database(0).limitBytes = 1_000_000;
    for (let i = 0; i < 100; i++) assert.equal(await a.call('SET', `k${i}`, 'x'.repeat(50_000)), 'OK');
    assert.equal(await a.call('EXISTS', 'k99'), 1);
    assert.equal(await a.call('EXISTS', 'k0'), 0);
    assert.ok(server.keyspace.evictor.evictedKeys >= 80);
    assert.equal(await a.call('APPEND', 'k99', 'x'.repeat(500_000)), 550_000);
    assert.deepEqual(await a.call('SET', 'huge', 'x'.repeat(2_000_000)), OOM);
  });

  it('takes room from the fullest database', async (t) => {
    const { client, store } = await startTestServer(t, { policy: 'allkeys-lru' });
    const a = await client();
    await a.call('SET', 'old', 'x'.repeat(500_000));
    await a.call('SELECT', '1');
    await a.call('SET', 'kept', 'x');
    await a.call('CONFIG', 'SET', 'maxmemory', '400000');
    assert.equal(await a.call('SET', 'more', 'x'), 'OK');
    assert.equal(store.database(0).count, 0);
    assert.equal(store.database(1).count, 2);
  });

  it('keeps below maxmemory when it is set', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    await a.call('SET', 'a', 'x'.repeat(5000));
    await a.call('CONFIG', 'SET', 'maxmemory', '1000');
    assert.deepEqual(await a.call('SET', 'b', '1'), OOM);
    assert.deepEqual(await a.call('INCR', 'n'), OOM);
    assert.equal(String(await a.call('GET', 'a')).length, 5000);
    await a.call('MULTI');
    assert.deepEqual(await a.call('SET', 'b', '1'), OOM);
    assert.deepEqual(await a.call('EXEC'), { error: 'EXECABORT Transaction discarded because of previous errors.' });
    await a.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    assert.equal(await a.call('SET', 'b', '1'), 'OK');
    assert.equal(await a.call('EXISTS', 'a'), 0);
  });

  it('fails EXEC when a watched key was evicted', async (t) => {
    const { client, store } = await startTestServer(t);
    const a = await client();
    await a.call('SET', 'a', '1');
    await a.call('WATCH', 'a');
    store.database(0).evict(1);
    await a.call('MULTI');
    await a.call('SET', 'b', '1');
    assert.equal(await a.call('EXEC'), null);
  });
});

describe('a store that fails', () => {
  it('answers an error for the command that met it and nothing else', async (t) => {
    const { client, store } = await startTestServer(t);
    const a = await client();
    await a.call('MSET', 'a', 'x'.repeat(200_000), 'b', '2', 'c', '3');
    store.database(0).broken.set('b', new QuireError('ERR_QUIRE_CORRUPT', 'a page is damaged'));
    const error = (command: string) => ({ error: `ERR ${command}: a page is damaged (ERR_QUIRE_CORRUPT)` });
    a.send('GET', 'c');
    a.send('MGET', 'a', 'b', 'c');
    a.send('GET', 'c');
    assert.equal((await a.receive())?.toString(), '$1\r\n3\r\n');
    assert.equal((await a.receive())?.toString(), '-ERR mget: a page is damaged (ERR_QUIRE_CORRUPT)\r\n');
    assert.equal((await a.receive())?.toString(), '$1\r\n3\r\n');
    assert.deepEqual(await a.call('GET', 'b'), error('get'));
    assert.deepEqual(await a.call('INCR', 'b'), error('incr'));
    await a.call('MULTI');
    await a.call('GET', 'c');
    await a.call('MGET', 'a', 'b');
    await a.call('GET', 'c');
    assert.deepEqual(await a.call('EXEC'), ['3', error('mget'), '3']);
  });

  it('answers and logs a bug, and goes on', async (t) => {
    const { client, server, logged } = await startTestServer(t);
    const a = await client();
    server.keyspace.database(0).map.getInto = () => {
      throw new TypeError('a bug');
    };
    assert.deepEqual(await a.call('GET', 'a'), { error: 'ERR internal error' });
    assert.equal(await a.call('PING'), 'PONG');
    assert.match(logged.join(), /command get: TypeError: a bug/);
    assert.match(String(await a.call('INFO', 'stats')), /unexpected_error_replies:1/);
  });
});
