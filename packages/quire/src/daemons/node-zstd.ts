/**
 * zstd from node:zlib, for one node's memory. Only whole buffers at a time can be had there without a promise, each with a
 * context of its own, which is most of the time it takes: some 50 µs for a page in, 28 µs out, where LZ4 takes 8 and 2.
 *
 * What is compressed or decoded is copied to this thread's own buffer first, 1.3 µs of it: an optimistic reader's bytes may
 * change while they are looked at, which native code must not be shown. Whatever fails is a block that does not decode;
 * whether that was a change or damage is for the caller to say.
 */
import * as zlib from 'node:zlib';
import { UNIT_BYTES } from '../base/units.ts';
import type { ZstdKernel } from '../codec/kernel.ts';

interface ZstdOptions {
  readonly params?: Readonly<Record<number, number>>;
  readonly chunkSize: number;
  readonly maxOutputLength?: number;
}

/** What node:zlib has from Node 22.15 and 23.8 on. */
interface ZlibWithZstd {
  readonly zstdCompressSync: (bytes: Uint8Array, options: ZstdOptions) => Uint8Array;
  readonly zstdDecompressSync: (bytes: Uint8Array, options: ZstdOptions) => Uint8Array;
  readonly constants: { readonly ZSTD_c_compressionLevel: number };
}

export const ZSTD_NODE_VERSIONS = '22.15, 23.8 or later';

const found = zlib as unknown as Partial<ZlibWithZstd>;

export function hasZstd(): boolean {
  return found.zstdCompressSync !== undefined && found.zstdDecompressSync !== undefined;
}

/** What whole buffers are compressed and decoded with. Both throw when they cannot. */
export interface BufferCoder {
  compress(bytes: Uint8Array, level: number): Uint8Array;
  /** Throws as well when more than `bytesMax` would come out: what claims to be larger than a page or unit is none. */
  decompress(bytes: Uint8Array, bytesMax: number): Uint8Array;
}

/** Undefined where Node has no zstd. */
export function nodeZstd(memory: WebAssembly.Memory): ZstdKernel | undefined {
  return hasZstd() ? new BufferKernel(memory, zstdCoder(found as ZlibWithZstd)) : undefined;
}

function zstdCoder({ zstdCompressSync, zstdDecompressSync, constants }: ZlibWithZstd): BufferCoder {
  const { ZSTD_c_compressionLevel } = constants;
  return {
    compress: (bytes, level) =>
      zstdCompressSync(bytes, { params: { [ZSTD_c_compressionLevel]: level }, chunkSize: bytes.length }),
    decompress: (bytes, bytesMax) => zstdDecompressSync(bytes, { chunkSize: bytesMax, maxOutputLength: bytesMax }),
  };
}

/** A coder of buffers as a kernel of one node's memory. */
export class BufferKernel implements ZstdKernel {
  private readonly bytes: Uint8Array;
  private readonly coder: BufferCoder;
  private readonly input = new Uint8Array(UNIT_BYTES);

  constructor(memory: WebAssembly.Memory, coder: BufferCoder) {
    this.bytes = new Uint8Array(memory.buffer);
    this.coder = coder;
  }

  compress(src: number, length: number, dst: number, capacity: number, level: number): number {
    const block = this.coder.compress(this.take(src, length), level);
    if (block.length > capacity) return 0;
    this.bytes.set(block, dst >>> 0);
    return block.length;
  }

  decompress(src: number, length: number, dst: number, capacity: number): number {
    let page: Uint8Array;
    try {
      page = this.coder.decompress(this.take(src, length), capacity);
    } catch {
      return -1;
    }
    if (page.length !== capacity) return -1;
    this.bytes.set(page, dst >>> 0);
    return capacity;
  }

  private take(src: number, length: number): Uint8Array {
    const from = src >>> 0;
    this.input.set(this.bytes.subarray(from, from + length));
    return this.input.subarray(0, length);
  }
}
