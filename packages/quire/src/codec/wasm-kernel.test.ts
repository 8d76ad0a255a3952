import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Kernel } from './kernel.ts';
import { compileKernel, instantiateKernel } from './wasm-kernel.ts';

const GIB = 2 ** 30;
const WASM_PAGE = 65536;
const PAGE = 4096;

/** Pages are backed when touched, so a big memory costs little. */
function makeMemory(bytes: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: bytes / WASM_PAGE, maximum: bytes / WASM_PAGE, shared: true });
}

/** Views reach any address of a memory of up to 4 GiB. */
function bytesAt(memory: WebAssembly.Memory, address: number, length: number): Buffer {
  return Buffer.from(memory.buffer, address, length);
}

const TEXT = new Uint8Array(Buffer.from('a folio of pages, a page of lines, a line of words; '.repeat(79))).subarray(
  0,
  PAGE,
);

/** Every kernel once, at the given page addresses, passed as the caller likes to pass them. */
function exercise(
  memory: WebAssembly.Memory,
  kernel: Kernel,
  pages: readonly number[],
  pass: (address: number) => number,
): void {
  const [src, block, dst, tables] = pages;
  bytesAt(memory, src, PAGE).set(TEXT);
  const length = kernel.compress(pass(src), PAGE, pass(block), PAGE, pass(tables));
  assert.ok(length > 0 && length < 1000, `compressed to ${length}`);
  assert.equal(kernel.decompress(pass(block), length, pass(dst), PAGE), PAGE);
  assert.equal(kernel.equal(pass(src), pass(dst), PAGE), 1);
  assert.ok(bytesAt(memory, dst, PAGE).equals(TEXT));
  kernel.fill(pass(dst), 0, PAGE);
  assert.equal(kernel.isSameFilled(pass(dst), PAGE), 0);
  assert.ok(kernel.decompressPartial(pass(block), PAGE, pass(dst), 100, PAGE) >= 100);
  assert.ok(bytesAt(memory, dst, 100).equals(TEXT.subarray(0, 100)));
  kernel.copy(pass(dst), pass(src), PAGE);
  assert.ok(bytesAt(memory, dst, PAGE).equals(TEXT));
  kernel.crc32cInit(pass(tables));
  bytesAt(memory, dst, 9).set(Buffer.from('123456789'));
  assert.equal(kernel.crc32c(0, pass(dst), 9, pass(tables), pass(GIB)), 0xe3069283);
  let inPieces = 0;
  for (let at = 0; at < PAGE; at += 256) {
    inPieces = kernel.crc32c(inPieces, pass(src + at), 256, pass(tables), pass(GIB));
  }
  assert.equal(kernel.crc32c(0, pass(src), PAGE, pass(tables), pass(GIB)), inPieces);
  kernel.copy(pass(dst), pass(src), PAGE);
  assert.equal(kernel.hash32(pass(src), PAGE, 1), kernel.hash32(pass(dst), PAGE, 1));
}

describe('wasm kernel', () => {
  test('works at addresses above 2 GiB, given as int32 bit patterns or as positive numbers', () => {
    const memory = makeMemory(3 * GIB);
    const kernel = instantiateKernel(compileKernel(), memory);
    const end = 3 * GIB;
    for (const pages of [
      [0, 4 * PAGE, 8 * PAGE, 12 * PAGE],
      [2 * GIB - PAGE, 2 * GIB, 2 * GIB + PAGE, 2 * GIB + 2 * PAGE],
      [2 * GIB + 64, 2.5 * GIB + 3, 2 * GIB - 5000, 2.75 * GIB],
      [end - 8 * PAGE, end - 9 * PAGE, end - PAGE, end - 16 * PAGE],
    ]) {
      exercise(memory, kernel, pages, (address) => address | 0);
      exercise(memory, kernel, pages, (address) => address);
    }
  });

  test('works on a run that ends at 4 GiB, where its end address wraps to 0', () => {
    const memory = makeMemory(4 * GIB);
    const kernel = instantiateKernel(compileKernel(), memory);
    const last = 4 * GIB - PAGE;
    exercise(memory, kernel, [last, 0, PAGE, 2 * PAGE], (address) => address | 0);
    exercise(memory, kernel, [0, last, PAGE, 2 * PAGE], (address) => address | 0);
    exercise(memory, kernel, [0, PAGE, last, 8 * PAGE], (address) => address | 0);
    exercise(memory, kernel, [0, PAGE, 2 * PAGE, 4 * GIB - 4 * PAGE], (address) => address | 0);
  });

  test('instances over one memory see the same bytes', () => {
    const memory = makeMemory(WASM_PAGE);
    const module = compileKernel();
    const first = instantiateKernel(module, memory);
    const second = instantiateKernel(module, memory);
    first.fill(PAGE, 5, PAGE);
    assert.equal(second.isSameFilled(PAGE, PAGE), 0x05050505);
  });

  test('a module and a memory travel to a worker', async () => {
    const memory = makeMemory(WASM_PAGE);
    const worker = new Worker(
      `const { workerData: { url, module, memory } } = require('node:worker_threads');
       import(url).then(({ instantiateKernel }) => instantiateKernel(module, memory).fill(PAGE, 9, PAGE));
       const PAGE = 4096;`,
      {
        eval: true,
        workerData: { url: new URL('./wasm-kernel.js', import.meta.url).href, module: compileKernel(), memory },
      },
    );
    const code = await new Promise((resolve, reject) => worker.once('error', reject).once('exit', resolve));
    assert.equal(code, 0);
    assert.equal(instantiateKernel(compileKernel(), memory).isSameFilled(PAGE, PAGE), 0x09090909);
  });

  test('leaves a memory as it is when instantiated: no data segments, no start function', () => {
    const memory = makeMemory(WASM_PAGE);
    bytesAt(memory, 0, WASM_PAGE).fill(0xa5);
    instantiateKernel(compileKernel(), memory);
    assert.ok(bytesAt(memory, 0, WASM_PAGE).every((byte) => byte === 0xa5));
  });

  test('refuses a memory that is not shared', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    assert.throws(() => instantiateKernel(compileKernel(), memory), { name: 'LinkError' });
  });
});
