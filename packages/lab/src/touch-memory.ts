/**
 * In a virtual machine the first use of a page costs the hypervisor some 10 µs, the second some 2: whichever column runs first would pay for all. So a process that does nothing
 * else uses as much memory as the columns will and ends, before anything is timed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const CHUNK_BYTES = 64 * 1024 * 1024;

export async function touchMemory(bytes: number, progress: (line: string) => void): Promise<void> {
  const chunks = Math.ceil(bytes / CHUNK_BYTES);
  const program = `const held = []; for (let i = 0; i < ${chunks}; i++) held.push(Buffer.alloc(${CHUNK_BYTES}, 1));`;
  const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
  await once(child, 'exit');
  progress(`touched ${Math.round(bytes / 2 ** 20)} MiB of memory once`);
}
