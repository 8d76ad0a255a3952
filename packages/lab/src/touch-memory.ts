/**
 * In a virtual machine the first use of a page costs the hypervisor 4 to 12 µs, the next use some 1.5 µs, and pages that lie free for two seconds may
 * be given back to it (free page reporting). Which of these a column pays is luck. So right before a timed phase that needs fresh memory, in every column
 * alike, a process that does nothing else uses as much memory and ends.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const CHUNK_BYTES = 64 * 1024 * 1024;

export async function touchMemory(bytes: number): Promise<void> {
  const chunks = Math.ceil(bytes / CHUNK_BYTES);
  const program = `const held = []; for (let i = 0; i < ${chunks}; i++) held.push(Buffer.alloc(${CHUNK_BYTES}, 1));`;
  const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
  await once(child, 'exit');
}
