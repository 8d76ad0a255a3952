/**
 * node:net offers `onread`, reading into one buffer of the caller's, to outgoing sockets only. An accepted socket is therefore rebuilt
 * around its handle; where there is no handle to take, it is read by 'data' events, slower and otherwise the same.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

interface StreamHandle {
  fd?: number;
}

interface HandleHolder {
  _handle?: StreamHandle | null;
}

export interface Adopted {
  socket: Socket;
  /** -1 where it is not known. */
  fd: number;
}

/** `accepted` must come from a server with `pauseOnConnect`. `onRead` gets bytes that are its own only while it runs. */
export function adoptSocket(
  accepted: Socket,
  readBuffer: Buffer,
  onRead: (chunk: Uint8Array, bytes: number) => void,
): Adopted {
  const holder = accepted as unknown as HandleHolder;
  const handle = holder._handle;
  if (handle === undefined || handle === null) {
    accepted.on('data', (chunk: Buffer) => onRead(chunk, chunk.length));
    accepted.resume();
    return { socket: accepted, fd: -1 };
  }
  holder._handle = null;
  const options: SocketConstructorOpts & { handle: StreamHandle; onread: OnReadOpts } = {
    handle,
    onread: {
      buffer: readBuffer,
      callback: (bytes: number) => {
        onRead(readBuffer, bytes);
        return true;
      },
    },
  };
  const socket = new Socket(options);
  accepted.destroy();
  return { socket, fd: handle.fd ?? -1 };
}
