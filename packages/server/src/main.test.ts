/** The program itself, as a child process. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Server } from './server.ts';
import { MemoryStore } from './testing/memory-store.ts';
import { TestClient } from './testing/test-client.ts';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

class Program {
  stdout = '';
  stderr = '';
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;

  constructor(...flags: string[]) {
    this.child = spawn(process.execPath, [MAIN, ...flags]);
    this.child.stdout?.on('data', (chunk) => (this.stdout += chunk));
    this.child.stderr?.on('data', (chunk) => (this.stderr += chunk));
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** The port, once the program says it listens. */
  async port(): Promise<number> {
    for (let i = 0; i < 1000; i++) {
      const match = /listens on \S+:(\d+)/.exec(this.stdout);
      if (match !== null && this.stdout.includes('try ')) return Number(match[1]);
      if (this.child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`it does not listen: ${this.stdout}${this.stderr}`);
  }
}

function run(t: TestContext, ...flags: string[]): Program {
  const program = new Program(...flags);
  t.after(() => program.child.kill('SIGKILL'));
  return program;
}

const SMALL = ['--port', '0', '--budget', '32mb', '--swap-size', '32mb', '--threads', '0'];

describe('quire-server', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`says where it listens, serves, and closes on ${signal}`, async (t) => {
      const program = run(t, ...SMALL);
      const port = await program.port();
      assert.match(program.stdout, /budget {2}32 MiB\n/);
      assert.match(program.stdout, /tiers {3}compressed \(lz4\), file of 32 MiB in \S+ \(unlinked\)\n/);
      assert.match(program.stdout, new RegExp(`try {5}redis-cli -p ${port} set greeting hello\n`));
      const client = await TestClient.connect(port);
      assert.equal(await client.call('SET', 'a', 'b'), 'OK');
      assert.equal(await client.call('GET', 'a'), 'b');
      assert.match(String(await client.call('INFO', 'quire')), /budget_bytes:33554432/);
      program.child.kill(signal);
      await client.closed();
      const { code, stderr } = await program.ended;
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    });
  }

  it('ends on SHUTDOWN with status 0', async (t) => {
    const program = run(t, ...SMALL, '--databases', '2', '--maxmemory-policy', 'allkeys-lru');
    const client = await TestClient.connect(await program.port());
    assert.deepEqual(await client.call('CONFIG', 'GET', 'databases'), ['databases', '2']);
    assert.deepEqual(await client.call('CONFIG', 'GET', 'maxmemory-policy'), ['maxmemory-policy', 'allkeys-lru']);
    assert.deepEqual(await client.call('SELECT', '2'), { error: 'ERR DB index is out of range' });
    client.send('SHUTDOWN', 'NOSAVE');
    assert.equal((await program.ended).code, 0);
  });

  async function fails(t: TestContext, flags: string[], message: RegExp): Promise<void> {
    const { code, stdout, stderr } = await run(t, ...flags).ended;
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.match(stderr, /^quire-server: [^\n]+\n$/);
  }

  it('says in one line that a flag is wrong', async (t) => {
    await fails(t, ['--prot', '1'], /unknown flag --prot/);
    await fails(t, ['--port', 'x'], /--port must be a number of 0 to 65535, not 'x'/);
    await fails(t, ['--bind', '0.0.0.0'], /--requirepass/);
  });

  it('says in one line that the budget is larger than the machine', async (t) => {
    await fails(
      t,
      ['--budget', '900tb'],
      /--budget 900tb is \d+ bytes, more than the \d+ this machine or container allows/,
    );
  });

  it('says in one line that the budget is too small', async (t) => {
    await fails(t, ['--budget', '1mb', '--port', '0'], /budget/);
  });

  it('says in one line that the file tier is larger than it can be', async (t) => {
    await fails(t, ['--swap-size', '65gb', '--port', '0', '--budget', '32mb'], /file tier must be at most 64 GiB/);
  });

  it('says in one line that the swap file cannot be made', async (t) => {
    await fails(t, ['--swap-file', '/nonexistent/folder/file', '--port', '0', '--budget', '32mb'], /swap|file|path/);
  });

  it('says in one line that the port is taken', async (t) => {
    const taken = await Server.listen({ store: new MemoryStore(), port: 0 });
    t.after(() => taken.close());
    await fails(
      t,
      [...SMALL.slice(2), '--port', String(taken.port)],
      /127\.0\.0\.1 port \d+ is in use by another program/,
    );
  });

  it('says in one line that there is no such address', async (t) => {
    await fails(t, [...SMALL, '--bind', '203.0.113.7', '--requirepass', 'x'], /203\.0\.113\.7 port 0: no such address/);
  });

  it('gives help', async (t) => {
    const { code, stdout } = await run(t, '--help').ended;
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: quire-server/);
  });
});
