/**
 * The way from `dist/kernel.wasm` (built from `assembly/`) to a `Kernel`. A module is compiled once per process and can
 * be posted to worker threads; each thread makes its own instance over the memory it shares with the others. The
 * instance's exports are the Kernel's own properties, so a call site sees one shape and V8 calls straight into the
 * module.
 */
import { readFileSync } from 'node:fs';
import type { Kernel, ZstdKernel } from './kernel.ts';
import type { WebAssemblyConstructors } from './web-assembly.ts';

const { Module, Instance } = WebAssembly as unknown as WebAssemblyConstructors;

/** Reads and compiles the module, synchronously. Throws what `readFileSync` and `WebAssembly.Module` throw. */
export function compileKernel(): WebAssembly.Module {
  return new Module(readFileSync(new URL('../kernel.wasm', import.meta.url)));
}

/** `memory` must be shared, with a maximum of at most 65,536 pages. Throws `WebAssembly.LinkError` otherwise. */
export function instantiateKernel(module: WebAssembly.Module, memory: WebAssembly.Memory, zstd?: ZstdKernel): Kernel {
  const exports = new Instance(module, { env: { memory } }).exports as Kernel;
  return {
    zstd,
    compress: exports.compress,
    decompress: exports.decompress,
    decompressPartial: exports.decompressPartial,
    readPage: exports.readPage,
    readParts: exports.readParts,
    copyParts: exports.copyParts,
    isSameFilled: exports.isSameFilled,
    copy: exports.copy,
    fill: exports.fill,
    crc32c: exports.crc32c,
    crc32cInit: exports.crc32cInit,
    equal: exports.equal,
    hash32: exports.hash32,
  };
}
