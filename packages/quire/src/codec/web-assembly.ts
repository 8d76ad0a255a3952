/**
 * The part of the `WebAssembly` namespace that Quire uses, for compilations without the DOM library (@types/node leaves
 * it out). Imported for its types only; nothing of it is meant for the public declarations.
 */
declare global {
  namespace WebAssembly {
    interface MemoryDescriptor {
      initial: number;
      maximum?: number;
      shared?: boolean;
    }

    interface Memory {
      readonly buffer: ArrayBuffer;
      grow(delta: number): number;
    }

    var Memory: {
      prototype: Memory;
      new (descriptor: MemoryDescriptor): Memory;
    };

    interface Module {}
  }
}

/** The constructors that only `wasm-kernel.ts` calls, with the signatures it needs. */
export interface WebAssemblyConstructors {
  Module: new (bytes: Uint8Array) => WebAssembly.Module;
  Instance: new (
    module: WebAssembly.Module,
    imports: { env: { memory: WebAssembly.Memory } },
  ) => { readonly exports: object };
}
