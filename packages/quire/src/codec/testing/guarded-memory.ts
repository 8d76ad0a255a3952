/**
 * A small shared memory with a shadow copy. After each kernel call the whole memory outside the range the call may
 * write is compared with the shadow, byte by byte. Its two ends are hard: a read past them traps.
 */
import assert from 'node:assert/strict';
import type { Kernel } from '../kernel.ts';
import { compileKernel, instantiateKernel } from '../wasm-kernel.ts';

const WASM_PAGE = 65536;

export class GuardedMemory {
  readonly kernel: Kernel;
  readonly size: number;
  readonly memory: WebAssembly.Memory;
  readonly #bytes: Buffer;
  readonly #shadow: Buffer;

  constructor(wasmPages: number) {
    this.memory = new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages, shared: true });
    this.kernel = instantiateKernel(compileKernel(), this.memory);
    this.size = wasmPages * WASM_PAGE;
    this.#bytes = Buffer.from(this.memory.buffer);
    for (let i = 0; i < this.size; i++) this.#bytes[i] = (i * 167 + 13) & 255;
    this.#shadow = Buffer.from(this.#bytes);
  }

  write(address: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, address);
    this.#shadow.set(bytes, address);
  }

  /** A view, not a copy. */
  read(address: number, length: number): Buffer {
    return this.#bytes.subarray(address, address + length);
  }

  /**
   * Fails unless everything outside the given ranges (ascending, apart) is as it was; then takes the ranges as they are
   * now.
   */
  expectUntouchedExcept(ranges: readonly (readonly [address: number, length: number])[], message: string): void {
    let from = 0;
    for (const [address, length] of [...ranges, [this.size, 0] as const]) {
      if (this.#bytes.compare(this.#shadow, from, address, from, address) !== 0) {
        let at = from;
        while (this.#bytes[at] === this.#shadow[at]) at++;
        assert.fail(`byte ${at} changed outside the allowed ranges ${JSON.stringify(ranges)}; ${message}`);
      }
      this.#bytes.copy(this.#shadow, address, address, address + length);
      from = address + length;
    }
  }
}
