/**
 * The process that is killed: `writer.js DIRECTORY SEED ROUND honest|no-sync|wrong-bytes`. Carries its plan out on the
 * files of the directory and writes a byte to descriptor 3 for each sync that came back. Reads are compared as it goes,
 * so a page that was lost while it lived is found too. It never ends by itself but with an error.
 */
import { readFileSync, writeSync } from 'node:fs';
import { Quire } from '../api/quire.ts';
import type { QuireFile } from '../api/quire-file.ts';
import type { Region } from '../api/region.ts';
import { KIB, MIB } from '../base/units.ts';
import { Expectation } from './expectation.ts';
import { FILES, Plan, type Step } from './plan.ts';
import { pathOf } from './rounds.ts';
import { fillSectors, SECTOR_BYTES, versionOf } from './sectors.ts';

const ACK_FD = 3;
const REGION_BYTES = 4 * MIB;
const POLICIES = ['direct', 'caller', 'split', 'light', 'background', 'stocked'] as const;

const [directory, seedText, roundText, honesty] = process.argv.slice(2);
const seed = Number(seedText);
const round = Number(roundText);

const images = Array.from({ length: FILES }, (_, file) => new Uint8Array(readFileSync(pathOf(directory, file))));
const expectation = new Expectation(images);
const plan = new Plan(
  seed,
  round,
  images.map((image) => image.length / SECTOR_BYTES),
);

/** Small enough that the two files and the region do not fit; written back early and often. */
const quire = await Quire.open({
  budget: 8 * MIB,
  swap: [{ tier: 'compressed' }],
  threads: round % 4 === 0 ? 0 : 1,
  compaction: POLICIES[(seed + round) % POLICIES.length],
  files: { dirtyExpireMs: 20 * (round % 5), dirtyWritebackMs: 5 },
});
const region: Region = quire.region({ size: REGION_BYTES });
const files: QuireFile[] = [];
for (let file = 0; file < FILES; file++) files.push(await quire.openFile(pathOf(directory, file), 'r+'));

for (;;) {
  const step = plan.next();
  if (step.kind === 'sync') await sync(step);
  else {
    expectation.take(step);
    await carryOut(step);
  }
}

async function sync(step: Step): Promise<void> {
  if (honesty !== 'no-sync') {
    if (step.way < 2) await files[step.file].sync();
    else await files[step.file].datasync();
  }
  writeSync(ACK_FD, Uint8Array.of(step.file));
}

async function carryOut(step: Step): Promise<void> {
  const file = files[step.file];
  if (step.kind === 'write' || step.kind === 'append') return write(file, step);
  if (step.kind === 'truncate') return file.truncate(step.first * SECTOR_BYTES);
  if (step.kind === 'read') return read(file, step);
  const start = step.first * 4 * KIB;
  region.fill(start, Math.min(step.count * 4 * KIB, REGION_BYTES - start), step.version & 0xff);
}

async function write(file: QuireFile, step: Step): Promise<void> {
  const bytes = fillSectors(step.file, step.first, step.count, step.version);
  if (honesty === 'wrong-bytes' && step.version % 16 === 0) bytes[bytes.length >> 1] ^= 1;
  const position = step.first * SECTOR_BYTES;
  // Whole sectors: between the two the file may be written back as it is.
  const half = (step.count >> 1) * SECTOR_BYTES;
  if (step.way === 0) file.writeSync(bytes, 0, bytes.length, position);
  else if (step.way === 1) await file.writev([bytes.subarray(0, half), bytes.subarray(half)], position);
  else await file.write(bytes, 0, bytes.length, position);
}

async function read(file: QuireFile, step: Step): Promise<void> {
  const bytes = new Uint8Array(step.count * SECTOR_BYTES);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, step.first * SECTOR_BYTES);
  const latest = expectation.latestOf(step.file);
  const count = Math.min(step.count, Math.max(0, latest.length - step.first));
  if (bytesRead !== count * SECTOR_BYTES) throw new Error(`read ${bytesRead} bytes of ${count} sectors`);
  for (let i = 0; i < count; i++) {
    const version = versionOf(bytes, step.file, step.first + i, i);
    if (version !== latest[step.first + i])
      throw new Error(`sector ${step.first + i} is of version ${version}, expected ${latest[step.first + i]}`);
  }
}
