import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { adoptSocket } from './socket.ts';

/** Connects, adopts the accepted socket after `prepare`, and returns what `onRead` saw of 'hello' and what came back. */
async function exchange(
  t: TestContext,
  prepare: (accepted: Socket) => void,
): Promise<{ seen: string; fd: number; back: string }> {
  const buffer = Buffer.alloc(1024);
  let seen = '';
  let fd = -2;
  const listener = createServer({ pauseOnConnect: true }, (accepted) => {
    prepare(accepted);
    const adopted = adoptSocket(accepted, buffer, (chunk, bytes) => {
      seen += Buffer.from(chunk.subarray(0, bytes)).toString();
      if (seen.length === 5) adopted.socket.end('bye');
    });
    fd = adopted.fd;
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  t.after(() => listener.close());
  const { port } = listener.address() as { port: number };
  const client = connect(port, '127.0.0.1');
  let back = '';
  client.on('data', (chunk) => (back += chunk));
  client.write('hel');
  setTimeout(() => client.write('lo'), 20);
  await new Promise((resolve) => client.once('close', resolve));
  return { seen, fd, back };
}

describe('adoptSocket', () => {
  it('reads through the one buffer where the socket has a handle', async (t) => {
    const { seen, fd, back } = await exchange(t, () => {});
    assert.deepEqual({ seen, back }, { seen: 'hello', back: 'bye' });
    assert.ok(fd > 2);
  });

  it('reads by events where it has none', async (t) => {
    const { seen, fd, back } = await exchange(t, (accepted) => {
      const holder = accepted as unknown as { _handle: unknown };
      const handle = holder._handle;
      let isHidden = true;
      Object.defineProperty(accepted, '_handle', {
        get: () => (isHidden ? undefined : handle),
        set: () => {},
        configurable: true,
      });
      queueMicrotask(() => (isHidden = false));
      accepted.on('newListener', (event) => {
        if (event === 'data') isHidden = false;
      });
    });
    assert.deepEqual({ seen, fd, back }, { seen: 'hello', fd: -1, back: 'bye' });
  });
});
