import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expireCycle } from './expire-cycle.ts';
import { Keyspace } from './keyspace.ts';
import { MemoryStore } from './testing/memory-store.ts';
import { startTestServer } from './testing/test-server.ts';

describe('expireCycle', () => {
  it('removes everything that expired, of all databases', () => {
    let nowMs = 1000;
    const keyspace = new Keyspace(new MemoryStore(1 << 20, () => nowMs), 4);
    for (const index of [0, 2]) {
      const db = keyspace.database(index);
      for (let i = 0; i < 1000; i++) db.set(Buffer.from(`k${i}`), Buffer.from('v'), i % 2 === 0 ? 2000 : 0);
    }
    assert.equal(
      expireCycle(keyspace, () => 0),
      0,
    );
    nowMs = 2000;
    assert.equal(
      expireCycle(keyspace, () => 0),
      1000,
    );
    assert.equal(keyspace.database(0).map.count, 500);
    assert.equal(keyspace.database(2).map.expiringCount, 0);
  });

  it('stops when its time is over, and goes on in the next cycle', () => {
    const keyspace = new Keyspace(new MemoryStore(1 << 20, () => 5000), 1);
    const { map } = keyspace.database(0);
    for (let i = 0; i < 1000; i++) map.set(Buffer.from(`k${i}`), Buffer.from('v'), 4000);
    let ms = 0;
    const removed = expireCycle(keyspace, () => (ms += 10));
    assert.ok(removed > 0 && removed < 1000);
    for (let i = 0; i < 20; i++) expireCycle(keyspace, () => (ms += 10));
    assert.equal(map.count, 0);
  });
});

describe('expiry in the server', () => {
  it('is lazy: an expired key is gone for every command at once', async (t) => {
    const { client, clock } = await startTestServer(t);
    const a = await client();
    await a.call('SET', 'k', '5', 'PX', '1000');
    await a.call('SET', 'kept', '5');
    assert.equal(await a.call('PTTL', 'k'), 1000);
    clock.nowMs += 999;
    assert.equal(await a.call('GET', 'k'), '5');
    clock.nowMs += 1;
    assert.equal(await a.call('GET', 'k'), null);
    assert.equal(await a.call('TTL', 'k'), -2);
    assert.equal(await a.call('EXISTS', 'k'), 0);
    assert.deepEqual(await a.call('KEYS', '*'), ['kept']);
    assert.equal(await a.call('RANDOMKEY'), 'kept');
    assert.equal(await a.call('INCR', 'k'), 1);
    assert.equal(await a.call('TTL', 'k'), -1);
  });

  it('is active: the timer removes what nobody asks for', async (t) => {
    const { client, clock, store } = await startTestServer(t);
    const a = await client();
    for (let i = 0; i < 100; i++) await a.call('SET', `k${i}`, 'v', 'PX', '1000');
    clock.nowMs += 1000;
    for (let i = 0; i < 500 && store.database(0).count > 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(store.database(0).count, 0);
    assert.match(String(await a.call('INFO', 'stats')), /expired_keys:100/);
  });

  it('fails EXEC when a watched key expired, not when it had expired before', async (t) => {
    const { client, clock } = await startTestServer(t);
    const a = await client();
    await a.call('SET', 'k', 'v', 'PX', '100');
    await a.call('WATCH', 'k');
    clock.nowMs += 100;
    await a.call('MULTI');
    await a.call('PING');
    assert.equal(await a.call('EXEC'), null);
    await a.call('WATCH', 'k');
    await a.call('MULTI');
    await a.call('PING');
    assert.deepEqual(await a.call('EXEC'), ['PONG']);
  });

  it('keeps moments beyond the year 10,889 as the last one', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    assert.equal(await a.call('SET', 'k', 'v', 'PXAT', '9223372036854775807'), 'OK');
    assert.equal(await a.call('PEXPIRETIME', 'k'), 2 ** 48 - 1);
  });
});
