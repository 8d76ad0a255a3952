/**
 * `lab s3`, memory: what swap takes before anything is swapped, and for each slot in use. The mail: 2 bytes for each slot a
 * device has before, 48 bytes for each 512 of them after; a device of 1 TB then costs 512 MB less. A used slot of the
 * kernel takes 8 bytes, and 2 for its group.
 */
import { ColumnAbsent } from '../benchmark.ts';
import { startNodeChild } from '../child.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import type { Results } from '../report.ts';
import { spreadOf } from '../stats.ts';
import { HOST } from '../usemem/host-usemem.ts';
import { DEVICE_BYTES, measureIdleSwap } from './host-idle-swap.ts';
import type { MetadataChildArgs, MetadataResult } from './metadata-child.ts';

const SLOT_BYTES = 4096;
const MAIL_STATIC = { mailBeforeMB: 512, mailAfterMB: 25 };
const KERNEL_BYTES_PER_SLOT = 10;
const SHADOW_BYTES_PER_SLOT = 1;

export async function measureMetadata(args: MetadataChildArgs, results: Results): Promise<void> {
  try {
    const { tableBytes, freeBytesLost } = measureIdleSwap();
    results.measured(HOST, 'static_bytes_1tb', 'bytes', [tableBytes], { memFreeLostBytes: freeBytesLost });
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(`${error.column}_static_bytes`, error.message);
  }
  const child = startNodeChild(builtFile('s3/metadata-child.js'), args);
  try {
    await child.ready(QUIRE);
    reportIdle(await child.phase<MetadataResult>('idle'), results);
    reportUsed(await child.phase<MetadataResult>('use'), results);
    await child.end();
  } finally {
    await child.kill();
  }
}

/** The slots of one node address DEVICE_BYTES; nothing grows with how many of them there may be. */
function reportIdle(idle: MetadataResult, results: Results): void {
  if (idle.slotsMax * SLOT_BYTES < DEVICE_BYTES) throw new Error(`a node has ${idle.slotsMax} slots`);
  const bytes = idle.staticBytes + idle.chunkBytes + idle.tableBytes + idle.takenBytes;
  results.measured(QUIRE, 'static_bytes_1tb', 'bytes', [bytes], MAIL_STATIC);
  results.ratio('static_bytes_1tb', spreadOf([bytes]), { atMost: 65_536 });
  const { staticBytes, shadowBytes } = idle;
  results.facts(QUIRE, 'idle', { staticBytes, takenBytes: idle.takenBytes, shadowBytesOfTheWholeMemory: shadowBytes });
}

/** What a slot in use takes: its word and its part of the descriptors, as they are counted, and its shadow byte. */
function reportUsed(used: MetadataResult, results: Results): void {
  const { chunkBytes, tableBytes, slotsUsed } = used;
  const bytes = (chunkBytes + tableBytes) / slotsUsed + SHADOW_BYTES_PER_SLOT;
  results.measured(QUIRE, 'bytes_per_used_slot', 'bytes', [bytes], { kernel: KERNEL_BYTES_PER_SLOT });
  results.ratio('bytes_per_used_slot', spreadOf([bytes]), { atMost: 6 });
  results.facts(QUIRE, 'used', { slotsUsed, chunkBytes, tableBytes, shadowBytes: slotsUsed * SHADOW_BYTES_PER_SLOT });
}
