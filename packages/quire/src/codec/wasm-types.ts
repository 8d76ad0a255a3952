/**
 * What the public declarations say of WebAssembly's objects. Not the global namespace's own types: a program that is
 * compiled without the DOM library does not have those.
 */

/** A `WebAssembly.Memory`. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(delta: number): number;
}

/** A compiled `WebAssembly.Module`, to be handed on only. */
export type WasmModule = object;
