/** What stands for zstd where Node has none: deflate, which like it knows whole buffers only and throws when they are damaged. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ZstdKernel } from '../codec/kernel.ts';
import { BufferKernel, nodeZstd } from '../daemons/node-zstd.ts';

/** zstd, or the stand-in: the core cannot tell. */
export function testZstd(memory: WebAssembly.Memory): ZstdKernel {
  return nodeZstd(memory) ?? standInZstd(memory);
}

export function standInZstd(memory: WebAssembly.Memory): ZstdKernel {
  return new BufferKernel(memory, {
    compress: (bytes, level) => deflateRawSync(bytes, { level: Math.min(level, 9) }),
    decompress: (bytes, bytesMax) => inflateRawSync(bytes, { maxOutputLength: bytesMax }),
  });
}
