import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { Server } from './server.ts';
import { MemoryStore } from './testing/memory-store.ts';
import type { Reply } from './testing/reply-reader.ts';
import { TestClient } from './testing/test-client.ts';
import { startTestServer } from './testing/test-server.ts';

/** `name:value` lines of INFO. */
function fields(info: Reply): Map<string, string> {
  const lines = String(info)
    .split('\r\n')
    .filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail('it never came to hold');
}

describe('Server', () => {
  it('answers several clients, and a pipeline in order', async (t) => {
    const { client } = await startTestServer(t);
    const [a, b] = [await client(), await client()];
    for (let i = 0; i < 500; i++) a.send('SET', `k${i}`, 'v'.repeat(i));
    b.sendRaw('PING\r\nPING x\r\n');
    for (let i = 0; i < 500; i++) assert.equal((await a.receive())?.toString(), '+OK\r\n');
    assert.equal((await b.receive())?.toString(), '+PONG\r\n');
    assert.equal((await b.receive())?.toString(), '$1\r\nx\r\n');
    for (let i = 0; i < 500; i++) b.send('GET', `k${i}`);
    for (let i = 0; i < 500; i++) assert.equal((await b.receive())?.toString(), `$${i}\r\n${'v'.repeat(i)}\r\n`);
  });

  it('answers what came before the client closed its side', async (t) => {
    const { server } = await startTestServer(t);
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk));
    socket.end('SET a 1\r\nGET a\r\n');
    await new Promise((resolve) => socket.once('end', resolve));
    assert.equal(answer, '+OK\r\n$1\r\n1\r\n');
    socket.destroy();
    await until(() => server.clientCount === 0);
  });

  it('stores a value of 64 MiB, and refuses a longer one without keeping it', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    const value = Buffer.alloc(64 * 1024 * 1024, 'abcdefg');
    assert.equal(await a.call('SET', 'big', value), 'OK');
    assert.equal(await a.call('STRLEN', 'big'), value.length);
    assert.deepEqual(await a.call('APPEND', 'big', 'x'), {
      error: 'ERR string exceeds maximum allowed size (proto-max-bulk-len)',
    });
    a.send('GET', 'big');
    const reply = await a.receive();
    assert.equal(reply?.length, value.length + '$67108864\r\n'.length + 2);
    assert.ok(reply?.subarray(11, -2).equals(value));
    const tooLong = { error: 'ERR string exceeds maximum allowed size (proto-max-bulk-len)' };
    assert.deepEqual(await a.call('SET', 'bigger', Buffer.alloc(value.length + 1)), tooLong);
    assert.equal(await a.call('EXISTS', 'bigger'), 0);
    assert.equal(await a.call('PING'), 'PONG');
  });

  it('cuts off a client that sends no line end', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    a.sendRaw('x'.repeat(70_000));
    assert.equal((await a.receive())?.toString(), '-ERR Protocol error: too big inline request\r\n');
    await a.closed();
  });

  it('refuses clients above maxclients', async (t) => {
    const { client, server } = await startTestServer(t, { maxclients: 2 });
    const [a] = [await client(), await client()];
    assert.equal(await a.call('PING'), 'PONG');
    const third = await client();
    assert.equal((await third.receive())?.toString(), '-ERR max number of clients reached\r\n');
    await third.closed();
    assert.equal(fields(await a.call('INFO', 'stats')).get('rejected_connections'), '1');
    await until(() => server.clientCount === 2);
    assert.equal(await a.call('CONFIG', 'SET', 'maxclients', '3'), 'OK');
    assert.equal(await (await client()).call('PING'), 'PONG');
  });

  it('closes clients that are idle for longer than timeout', async (t) => {
    const { client, server } = await startTestServer(t);
    const a = await client();
    const b = await client();
    assert.equal(await a.call('CONFIG', 'SET', 'timeout', '1'), 'OK');
    const idle = b.closed();
    const timer = setInterval(() => a.send('PING'), 200);
    await idle;
    await until(() => server.clientCount === 1);
    clearInterval(timer);
  });

  it('binds other addresses than loopback only with a password', async () => {
    const store = new MemoryStore();
    await assert.rejects(Server.listen({ store, port: 0, bind: ['0.0.0.0'] }), /requirepass/);
    const server = await Server.listen({ store, port: 0, bind: ['0.0.0.0'], requirepass: 'pw' });
    const client = await TestClient.connect(server.port);
    assert.deepEqual(await client.call('GET', 'a'), { error: 'NOAUTH Authentication required.' });
    assert.equal(await client.call('AUTH', 'pw'), 'OK');
    const refused = (await client.call('CONFIG', 'SET', 'requirepass', '')) as { error: string };
    assert.match(refused.error, /needs a password/);
    client.close();
    await server.close();
  });

  it('listens on several addresses with one port', async () => {
    const server = await Server.listen({ store: new MemoryStore(), port: 0, bind: ['127.0.0.1', '127.0.0.2'] });
    assert.deepEqual(server.addresses(), [`127.0.0.1:${server.port}`, `127.0.0.2:${server.port}`]);
    const client = await TestClient.connect(server.port, '127.0.0.2');
    assert.equal(await client.call('PING'), 'PONG');
    client.close();
    await server.close();
  });

  it('leaves nothing open when one address cannot be had', async () => {
    const first = await Server.listen({ store: new MemoryStore(), port: 0 });
    await assert.rejects(
      Server.listen({ store: new MemoryStore(), port: first.port, bind: ['127.0.0.3', '127.0.0.1'] }),
      { code: 'EADDRINUSE' },
    );
    const again = await Server.listen({ store: new MemoryStore(), port: first.port, bind: ['127.0.0.3'] });
    await again.close();
    await first.close();
  });

  it('closes its clients and its store, once', async (t) => {
    const { server, store, client } = await startTestServer(t);
    const a = await client();
    assert.equal(await a.call('PING'), 'PONG');
    await Promise.all([server.close(), server.close()]);
    await a.closed();
    assert.ok(store.isClosed);
    await assert.rejects(TestClient.connect(server.port));
  });

  it('shuts down on SHUTDOWN', async () => {
    const store = new MemoryStore();
    let tell: () => void = () => {};
    const told = new Promise<void>((resolve) => (tell = resolve));
    const server = await Server.listen({ store, port: 0, onShutdown: () => tell() });
    const client = await TestClient.connect(server.port);
    assert.deepEqual(await client.call('SHUTDOWN', 'SAVE'), { error: 'ERR Errors trying to SHUTDOWN. Check logs.' });
    client.send('SHUTDOWN', 'NOSAVE', 'NOW', 'FORCE');
    await client.closed();
    await told;
    assert.ok(store.isClosed);
  });

  it('hands on what went wrong in closing the store', async () => {
    const store = new MemoryStore();
    store.close = () => Promise.reject(new Error('frames are missing'));
    const told = new Promise<unknown>((resolve) => {
      void Server.listen({ store, port: 0, onShutdown: resolve }).then((server) => server.shutdown());
    });
    assert.match(String(await told), /frames are missing/);
  });
});

describe('INFO', () => {
  it('has what clients look for', async (t) => {
    const { client, server } = await startTestServer(t);
    const a = await client();
    await a.call('SET', 'a', '1');
    await a.call('SET', 'b', '1', 'EX', '100');
    await a.call('GET', 'a');
    await a.call('GET', 'nokey');
    await a.call('INCR');
    const info = fields(await a.call('INFO'));
    const wanted: [string, string][] = [
      ['redis_version', '7.0.15'],
      ['redis_mode', 'standalone'],
      ['tcp_port', String(server.port)],
      ['process_id', String(process.pid)],
      ['loading', '0'],
      ['role', 'master'],
      ['connected_clients', '1'],
      ['maxmemory_policy', 'noeviction'],
      ['cluster_enabled', '0'],
      ['db0', 'keys=2,expires=1,avg_ttl=0'],
      ['keyspace_hits', '1'],
      ['keyspace_misses', '1'],
      ['budget', String(256 * 1024 * 1024)],
      ['errorstat_ERR', 'count=1'],
      ['maps', '1'],
    ];
    for (const [name, value] of wanted) assert.equal(info.get(name), value, name);
    const used = ['used_memory', 'used_memory_rss', 'used_cpu_user', 'uptime_in_seconds', 'total_commands_processed'];
    for (const name of used) assert.ok(Number(info.get(name)) >= 0, name);
  });

  it('shows the sections asked for, in its own order', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    const titles = async (...names: string[]) =>
      [...String(await a.call('INFO', ...names)).matchAll(/^# (\w+)/gm)].map(([, name]) => name);
    assert.deepEqual(await titles('keyspace', 'server'), ['Server', 'Keyspace']);
    assert.deepEqual(await titles('SERVER'), ['Server']);
    const usual = await titles();
    assert.ok(!usual.includes('Commandstats') && usual.includes('Quire'));
    assert.ok((await titles('all')).includes('Commandstats'));
    assert.deepEqual(await titles('default'), usual);
    assert.deepEqual(await titles('nosuch'), []);
  });

  it('counts commands, and forgets them on CONFIG RESETSTAT', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    await a.call('GET', 'x');
    await a.call('GET');
    await a.call('SET', 'x', 'y', 'BAD');
    const before = fields(await a.call('INFO', 'commandstats', 'stats'));
    assert.equal(before.get('cmdstat_get'), 'calls=1,rejected_calls=1,failed_calls=0');
    assert.equal(before.get('cmdstat_set'), 'calls=1,rejected_calls=0,failed_calls=1');
    assert.equal(before.get('total_error_replies'), '2');
    await a.call('CONFIG', 'RESETSTAT');
    const after = fields(await a.call('INFO', 'commandstats', 'stats'));
    assert.equal(after.get('cmdstat_get'), undefined);
    assert.equal(after.get('total_error_replies'), '0');
    assert.equal(after.get('keyspace_misses'), '0');
  });

  it('is verbatim text in RESP3', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    await a.call('HELLO', '3');
    a.send('INFO', 'cluster');
    assert.equal((await a.receive())?.toString(), '=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n');
  });
});

describe('MEMORY', () => {
  it('tells usage, statistics and advice', async (t) => {
    const { client, store } = await startTestServer(t);
    const a = await client();
    await a.call('SET', 'key', 'v'.repeat(1000));
    const usage = Number(await a.call('MEMORY', 'USAGE', 'key', 'SAMPLES', '0'));
    assert.ok(usage >= 1003 && usage < 1200);
    await a.call('HELLO', '3');
    const stats = (await a.call('MEMORY', 'STATS')) as { map: [Reply, Reply][] };
    const value = new Map(stats.map).get('keys.count');
    assert.equal(value, 1);
    assert.equal(new Map(stats.map).get('total.allocated'), store.memoryUsed());
    assert.match(String(await a.call('MEMORY', 'DOCTOR')), /^Hi Sam/);
    assert.match(String(await a.call('MEMORY', 'MALLOC-STATS')), /maps: 1/);
  });
});

describe('CLIENT', () => {
  it('lists clients in the form of Redis', async (t) => {
    const { client } = await startTestServer(t);
    const [a, b] = [await client(), await client()];
    await a.call('CLIENT', 'SETNAME', 'alice');
    assert.equal(await a.call('CLIENT', 'SETINFO', 'lib-name', 'test'), 'OK');
    assert.equal(await a.call('CLIENT', 'SETINFO', 'LIB-VER', '1.2'), 'OK');
    await b.call('SELECT', '5');
    await b.call('CLIENT', 'NO-EVICT', 'on');
    await b.call('CLIENT', 'NO-TOUCH', 'on');
    await b.call('MULTI');
    await b.call('GET', 'x');
    const lines = String(await a.call('CLIENT', 'LIST'))
      .trim()
      .split('\n');
    assert.equal(lines.length, 2);
    const first =
      /^id=1 addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:\d+ fd=\d+ name=alice age=0 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=\d+ qbuf-free=\d+ argv-mem=\d+ multi-mem=0 rbs=\d+ rbp=\d+ obl=\d+ oll=\d+ omem=0 tot-mem=\d+ events=r cmd=client\|list user=default redir=-1 resp=2 lib-name=test lib-ver=1\.2$/;
    assert.match(lines[0], first);
    assert.match(lines[1], / name= .* flags=xeT db=5 .* multi=1 .* cmd=multi /);
    assert.match(String(await a.call('CLIENT', 'INFO')), /^id=1 .*\n$/);
    assert.match(String(await a.call('CLIENT', 'LIST', 'ID', '2', '9')), /^id=2 [^\n]*\n$/);
    assert.equal(String(await a.call('CLIENT', 'LIST', 'TYPE', 'normal')).split('\n').length, 3);
  });

  it('refuses library names that would break the list', async (t) => {
    const { client } = await startTestServer(t);
    const a = await client();
    assert.deepEqual(await a.call('CLIENT', 'SETINFO', 'lib-name', 'a b'), {
      error: 'ERR lib-name cannot contain spaces, newlines or special characters.',
    });
    assert.deepEqual(await a.call('CLIENT', 'SETINFO', 'x', 'y'), { error: "ERR Unrecognized option 'x'" });
    assert.deepEqual(await a.call('CLIENT', 'NO-TOUCH', 'x'), { error: 'ERR syntax error' });
  });

  it('kills by id, address and type, and itself last', async (t) => {
    const { client, server } = await startTestServer(t);
    const [a, b, c, d] = [await client(), await client(), await client(), await client()];
    const address = (of: TestClient) => `127.0.0.1:${of.socket.localPort}`;
    assert.equal(await a.call('CLIENT', 'KILL', 'ID', String(await b.call('CLIENT', 'ID'))), 1);
    await b.closed();
    await c.call('PING');
    assert.equal(await a.call('CLIENT', 'KILL', address(c)), 'OK');
    await c.closed();
    assert.equal(await a.call('CLIENT', 'KILL', 'ADDR', address(a)), 0);
    await d.call('PING');
    assert.equal(await a.call('CLIENT', 'KILL', 'TYPE', 'normal', 'USER', 'default'), 1);
    await d.closed();
    await until(() => server.clientCount === 1);
    assert.equal(await a.call('CLIENT', 'KILL', 'LADDR', `127.0.0.1:${server.port}`, 'SKIPME', 'no'), 1);
    await a.closed();
  });

  it('gives back what a client watched when it goes', async (t) => {
    const { client, server } = await startTestServer(t);
    const [a, b] = [await client(), await client()];
    await a.call('WATCH', 'k');
    a.close();
    await until(() => server.clientCount === 1);
    assert.equal(await b.call('SET', 'k', 'v'), 'OK');
    assert.equal(await b.call('GET', 'k'), 'v');
  });
});
