/**
 * The kernels as they are shipped, with a call before each load and store: Binaryen's pass `instrument-memory` over
 * dist/kernel.wasm. What is called may look, or do what another thread would do at that moment. The pass leaves
 * `memory.copy` and atomic read-modify-writes as they are.
 */
import { readFileSync } from 'node:fs';
import binaryen from 'assemblyscript/binaryen';
import type { Kernel } from '../kernel.ts';
import type { WebAssemblyConstructors } from '../web-assembly.ts';

/** Called before `bytes` bytes at byte `at` of the memory are loaded or stored. */
export type OnAccess = (at: number, bytes: number, isStore: boolean) => void;

const { Module, Instance } = WebAssembly as unknown as WebAssemblyConstructors;

function instrumented(): WebAssembly.Module {
  const module = binaryen.readBinary(readFileSync(new URL('../../kernel.wasm', import.meta.url)));
  module.runPasses(['instrument-memory']);
  return new Module(module.emitBinary());
}

let traced: WebAssembly.Module | undefined;

export function tracedKernel(memory: WebAssembly.Memory, onAccess: OnAccess): Kernel {
  traced ??= instrumented();
  const before = (isStore: boolean) => (_id: number, bytes: number, offset: number, address: number) => {
    onAccess((address >>> 0) + (offset >>> 0), bytes, isStore);
    return address;
  };
  const same = <T>(_id: number, value: T): T => value;
  const env: Record<string, unknown> = { memory, load_ptr: before(false), store_ptr: before(true) };
  for (const name of ['memory_grow_pre', 'memory_grow_post']) env[name] = same;
  for (const type of ['i32', 'i64', 'f32', 'f64']) {
    env[`load_val_${type}`] = same;
    env[`store_val_${type}`] = same;
  }
  return { ...new Instance(traced, { env: env as { memory: WebAssembly.Memory } }).exports } as Kernel;
}
