/** A real redis-server as a child process, for recording and for the live differential; no test needs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestClient } from './test-client.ts';

const START_TRIES_MAX = 100;

export class RealRedis {
  readonly port: number;
  private readonly child: ChildProcess;
  private readonly folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.child = child;
    this.folder = folder;
  }

  static async start(...flags: string[]): Promise<RealRedis> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'quire-redis-'));
    const child = spawn('redis-server', ['--port', String(port), '--save', '', '--dir', folder, ...flags], {
      stdio: 'ignore',
    });
    const failed = new Promise<never>((_, reject) => {
      child.once('error', () => reject(new Error('redis-server is not installed (apt-get install redis-server)')));
    });
    await Promise.race([failed, answers(port)]);
    return new RealRedis(port, child, folder);
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await gone;
    rmSync(this.folder, { recursive: true });
  }
}

async function answers(port: number): Promise<void> {
  for (let i = 0; i < START_TRIES_MAX; i++) {
    try {
      const client = await TestClient.connect(port);
      client.close();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error('redis-server does not answer');
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const listener = createServer();
    listener.listen(0, '127.0.0.1', () => {
      const { port } = listener.address() as AddressInfo;
      listener.close(() => resolve(port));
    });
  });
}
