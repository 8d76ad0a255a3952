/** The server on a small Quire that fills up. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import type { Quire } from 'quire';
import { describeTiers, QuireStore } from './quire-store.ts';
import { Server, type ServerOptions } from './server.ts';
import { TestClient } from './testing/test-client.ts';

const MIB = 1024 * 1024;
const BUDGET = 16 * MIB;

async function serve(t: TestContext, swapSize: number, options: Partial<ServerOptions> = {}): Promise<TestClient> {
  const store = await QuireStore.open({ budget: BUDGET, swapSize, swapFile: undefined, threads: 0 });
  const server = await Server.listen({ store, port: 0, ...options });
  const client = await TestClient.connect(server.port);
  t.after(async () => {
    client.close();
    await server.close();
  });
  return client;
}

/** Text of `bytes` that differs from key to key. */
const textOf = (i: number, bytes: number) =>
  `value ${i} of some text that compresses; `.repeat(bytes / 32).slice(0, bytes);

describe('QuireStore', () => {
  it('holds several times its budget', async (t) => {
    const client = await serve(t, 4 * BUDGET);
    const values = 900;
    for (let i = 0; i < values; i++) assert.equal(await client.call('SET', `k${i}`, textOf(i, 60_000)), 'OK');
    const info = String(await client.call('INFO', 'memory'));
    assert.ok(Number(/used_memory:(\d+)/.exec(info)?.[1]) <= BUDGET);
    for (let i = 0; i < values; i++) assert.equal(await client.call('GET', `k${i}`), textOf(i, 60_000));
  });

  it('says when every tier is full, and takes writes again after deletes', async (t) => {
    const client = await serve(t, 0);
    const value = randomBytes(100_000);
    let stored = 0;
    for (; stored < 1000; stored++) {
      const reply = await client.call('SET', `k${stored}`, value);
      if (reply === 'OK') continue;
      assert.deepEqual(reply, { error: "OOM command not allowed when used memory > 'maxmemory'." });
      break;
    }
    assert.ok(stored > 100 && stored < 170, `${stored} values of 100,000 bytes in 16 MiB`);
    assert.equal(await client.call('DBSIZE'), stored);
    assert.equal(await client.call('GET', 'k0'), value.toString('latin1'));
    for (let i = 0; i < 20; i++) assert.equal(await client.call('DEL', `k${i}`), 1);
    for (let i = 0; i < 15; i++) assert.equal(await client.call('SET', `n${i}`, value), 'OK');
    assert.equal(await client.call('FLUSHALL'), 'OK');
    for (let i = 0; i < 100; i++) assert.equal(await client.call('SET', `m${i}`, value), 'OK');
  });

  it('evicts under allkeys-lru and never refuses', async (t) => {
    const client = await serve(t, 0, { policy: 'allkeys-lru' });
    const value = randomBytes(50_000);
    for (let i = 0; i < 1500; i++) assert.equal(await client.call('SET', `k${i}`, value), 'OK', `SET k${i}`);
    assert.equal(await client.call('GET', 'k1499'), value.toString('latin1'));
    const info = String(await client.call('INFO', 'stats'));
    assert.ok(Number(/evicted_keys:(\d+)/.exec(info)?.[1]) > 1000);
  });

  it('keeps databases apart', async (t) => {
    const client = await serve(t, 0);
    await client.call('SET', 'a', 'zero');
    await client.call('SELECT', '9');
    assert.equal(await client.call('GET', 'a'), null);
    await client.call('SET', 'a', 'nine');
    await client.call('SELECT', '0');
    assert.equal(await client.call('GET', 'a'), 'zero');
    assert.match(String(await client.call('INFO', 'keyspace')), /db0:keys=1[\s\S]*db9:keys=1/);
  });

  it('refuses keys that are too long for the map with an error', async (t) => {
    const client = await serve(t, 0);
    const reply = (await client.call('SET', 'k'.repeat(70_000), 'v')) as { error: string };
    assert.match(reply.error, /^ERR set: key length .*ERR_QUIRE_RANGE/);
    assert.equal(await client.call('PING'), 'PONG');
  });

  it('tells in INFO of stalls as the kernel does, and of the tiers there are', async (t) => {
    const client = await serve(t, 4 * BUDGET);
    for (let i = 0; i < 600; i++) await client.call('SET', `k${i}`, randomBytes(60_000));
    const info = String(await client.call('INFO', 'quire'));
    for (const kind of ['some', 'full'])
      assert.match(
        info,
        new RegExp(`^psi_${kind}:avg10=\\d+\\.\\d\\d,avg60=\\d+\\.\\d\\d,avg300=\\d+\\.\\d\\d,total=\\d+\\r$`, 'm'),
      );
    assert.ok(Number(/psi_some:.*total=(\d+)/.exec(info)?.[1]) > 0, 'one thread, no daemons: it reclaims for itself');
    assert.match(info, /^tier_compressed:state=on,size=\d+,used=\d+,live=\d+,pages=\d+\r$/m);
    assert.match(
      info,
      new RegExp(
        `^tier_file1:state=on,size=${4 * BUDGET},used=\\d+,live=\\d+,pages=[1-9]\\d*,priority=-1,read_errors=0,write_errors=0\\r$`,
        'm',
      ),
    );
    assert.match(String(await client.call('MEMORY', 'MALLOC-STATS')), /^tier_compressed: state=on/m);
  });

  it('tells of tiers that come and go', async () => {
    const store = await QuireStore.open({ budget: BUDGET, swapSize: 4 * BUDGET, swapFile: undefined, threads: 0 });
    const { quire } = store as unknown as { quire: Quire };
    const tiers = () => Object.keys(store.stats()).filter((name) => name.startsWith('tier_'));
    assert.deepEqual(tiers(), ['tier_compressed', 'tier_file1']);
    await quire.swapon({ tier: 'file', size: BUDGET, priority: 7 });
    assert.deepEqual(tiers(), ['tier_compressed', 'tier_file2', 'tier_file1']);
    await quire.swapoff('file1');
    await quire.swapoff('compressed');
    assert.deepEqual(tiers(), ['tier_compressed', 'tier_file2']);
    assert.match(String(store.stats()['tier_compressed']), /^state=off,/);
    await store.close();
  });

  it('describes its tiers', () => {
    const shape = { budget: BUDGET, swapSize: 64 * MIB, swapFile: undefined, threads: 0 };
    assert.equal(describeTiers(shape, '/tmp'), 'compressed (lz4), file of 64 MiB in /tmp (unlinked)');
    assert.equal(
      describeTiers({ ...shape, swapFile: '/var/x' }, '/tmp'),
      'compressed (lz4), file of 64 MiB in /var/x (unlinked)',
    );
    assert.equal(describeTiers({ ...shape, swapSize: 0 }, '/tmp'), 'compressed (lz4)');
  });
});
