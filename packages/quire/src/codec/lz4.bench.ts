/**
 * LZ4 on pages of real text: microseconds per unit and ratio, beside the lz4_flex package (lz4-wasm-nodejs). Every
 * block is decoded and compared before anything is timed. Figures are the median of the rounds with their quartiles;
 * rounds of the two codecs alternate.
 *
 * node packages/quire/dist/codec/lz4.bench.js [folder ...] default: node_modules
 */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import * as lz4Flex from 'lz4-wasm-nodejs';
import { makeRandom } from './testing/random.ts';
import { compileKernel, instantiateKernel } from './wasm-kernel.ts';

const UNITS = [1024, 4096, 16384];
const SAMPLE_BYTES = 4 << 20;
const UNITS_PER_FILE_MAX = 4;
const ROUNDS = 25;
const SEED = 42;
const TEXT = /\.(js|ts|mjs|cjs|json|md|c|h|txt|html|xml|css|svg|py|sh)$/;
const WASM_PAGE = 65536;
const LENGTH_PREFIX = 4; // lz4_flex puts the length of the content before the block
const TABLE = 0;
const DATA = WASM_PAGE;

function textFiles(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && TEXT.test(entry.name));
  return files.map((file) => join(file.parentPath ?? file.path, file.name)).sort();
}

/** Whole units from random places of random files, the same for the same seed and files. */
function sampleText(folders: readonly string[], unit: number): Buffer {
  const random = makeRandom(SEED);
  const files = folders.flatMap(textFiles);
  const units: Buffer[] = [];
  while (units.length < SAMPLE_BYTES / unit && files.length > 0) {
    const [file] = files.splice(random.below(files.length), 1);
    const content = readFileSync(file);
    const available = Math.floor(content.length / unit);
    for (let i = 0; i < Math.min(UNITS_PER_FILE_MAX, available); i++) {
      const start = random.below(available) * unit;
      units.push(content.subarray(start, start + unit));
    }
  }
  return Buffer.concat(units);
}

interface Subject {
  readonly name: string;
  /** Compresses unit `index`, keeps the block, returns its length in bytes. */
  compress(index: number): number;
  /** Decodes the block of unit `index`. */
  decompress(index: number): void;
  /** What the last `decompress` gave. */
  decoded(): Uint8Array;
}

function kernelSubject(data: Buffer, unit: number): Subject {
  const slot = unit * 2;
  const blocks = DATA + data.length;
  const output = blocks + data.length * 2;
  const wasmPages = Math.ceil((output + unit) / WASM_PAGE);
  const memory = new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages, shared: true });
  const kernel = instantiateKernel(compileKernel(), memory);
  const bytes = Buffer.from(memory.buffer);
  bytes.set(data, DATA);
  const lengths = new Int32Array(data.length / unit);
  return {
    name: 'quire',
    compress(index) {
      lengths[index] = kernel.compress(DATA + index * unit, unit, blocks + index * slot, slot, TABLE);
      return lengths[index];
    },
    decompress(index) {
      kernel.decompress(blocks + index * slot, lengths[index], output, unit);
    },
    decoded: () => bytes.subarray(output, output + unit),
  };
}

function lz4FlexSubject(data: Buffer, unit: number): Subject {
  const blocks: Uint8Array[] = [];
  let last: Uint8Array = new Uint8Array(0);
  return {
    name: 'lz4_flex',
    compress(index) {
      blocks[index] = lz4Flex.compress(data.subarray(index * unit, (index + 1) * unit));
      return blocks[index].length - LENGTH_PREFIX;
    },
    decompress(index) {
      last = lz4Flex.decompress(blocks[index]);
    },
    decoded: () => last,
  };
}

/** Compresses and decodes every unit; returns the ratio. Throws on the first unit that comes back different. */
function verify(subject: Subject, data: Buffer, unit: number): number {
  let total = 0;
  for (let index = 0; index < data.length / unit; index++) {
    total += subject.compress(index);
    subject.decompress(index);
    const original = data.subarray(index * unit, (index + 1) * unit);
    if (!original.equals(subject.decoded())) throw new Error(`${subject.name}: unit ${index} came back different`);
  }
  return data.length / total;
}

/** Microseconds per unit of one pass over all units. */
function timeUs(pass: (index: number) => unknown, count: number): number {
  const start = performance.now();
  for (let index = 0; index < count; index++) pass(index);
  return ((performance.now() - start) * 1000) / count;
}

function spread(times: number[]): string {
  times.sort((a, b) => a - b);
  const at = (share: number): string => times[Math.floor((times.length - 1) * share)].toFixed(2);
  return `${at(0.5)} (${at(0.25)}-${at(0.75)})`;
}

function benchUnit(folders: readonly string[], unit: number): void {
  const data = sampleText(folders, unit);
  const count = data.length / unit;
  const subjects = [kernelSubject(data, unit), lz4FlexSubject(data, unit)];
  const ratios = subjects.map((subject) => verify(subject, data, unit));
  const compressUs: number[][] = subjects.map(() => []);
  const decompressUs: number[][] = subjects.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    subjects.forEach((subject, i) => {
      compressUs[i].push(timeUs(subject.compress, count));
      decompressUs[i].push(timeUs(subject.decompress, count));
    });
  }
  subjects.forEach((subject, i) => {
    const cells = [String(unit), subject.name, spread(compressUs[i]), spread(decompressUs[i]), ratios[i].toFixed(3)];
    console.log(`| ${cells.join(' | ')} |`);
  });
}

const folders = process.argv.length > 2 ? process.argv.slice(2) : ['node_modules'];
console.log(`${cpus()[0].model}, Node.js ${process.version}, seed ${SEED}, text of ${folders.join(', ')}\n`);
console.log('| unit, bytes | codec | compress, us (quartiles) | decompress, us (quartiles) | ratio |');
console.log('|---:|---|---:|---:|---:|');
for (const unit of UNITS) benchUnit(folders, unit);
