/**
 * A fill of one and a half times memory with real text, replayed in virtual time: a writer and a daemon thread on two processors of
 * their own, every page of work at a fixed price, nobody waiting for a lock. The code is the real one, in one thread: whoever is
 * behind in time goes next. So it shows how well the work is divided, the same on every machine and however busy that is.
 *
 * node packages/quire/dist/swap/copy-ahead.bench.js [folder ...] default: node_modules
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { Kcopyd } from '../daemons/kcopyd.ts';
import { Kswapd } from '../daemons/kswapd.ts';
import { createTestInstance } from '../testing/test-instance.ts';

const MEMORY_BYTES = 128 * MIB;
/** The share of `lab swap`: memory is 0.68 of the data. */
const PAGES = Math.floor(MEMORY_BYTES / 0.68 / PAGE_BYTES);
const TEXT_BYTES_MAX = 64 * MIB;
const TEXT = /\.(js|ts|mjs|cjs|json|md)$/;
const PARTS = 16;
/* Microseconds, as measured on the machine of docs/results/swap.txt. */
const WRITE_US = 3.6;
const COMPRESSED_US = 8.2; // LZ4 7.0, the rest isolation, the pool, the lists
const EVICTED_US = 0.4; // a page that has a copy
const STEP_US = 0.5;
/** Odd: page i is cut from offset i · SCATTER modulo the text. */
const SCATTER = 2_654_435_761;

function readText(folders: readonly string[]): Uint8Array {
  const parts: Buffer[] = [];
  let bytes = 0;
  for (const folder of folders) {
    for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!file.isFile() || !TEXT.test(file.name) || bytes > TEXT_BYTES_MAX) continue;
      const content = readFileSync(join(file.parentPath ?? file.path, file.name));
      bytes += content.length;
      parts.push(content);
    }
  }
  return Buffer.concat(parts);
}

/** What one thread has done, by its counters, in microseconds. Pages that came to nothing are not counted. */
function workUs(node: Node): number {
  const { counters } = node;
  const compressed = counters[C.zswpout] + counters[C.zs_incompressible] + counters[C.swap_copies_ahead];
  return compressed * COMPRESSED_US + counters[C.swap_clean_copies] * EVICTED_US;
}

const text = readText(process.argv.length > 2 ? process.argv.slice(2) : ['node_modules']);
const instance = createTestInstance({ bytes: MEMORY_BYTES });
const daemon = instance.join();
const kswapd = new Kswapd(daemon.memory.reclaimers[0]);
const kcopyd = new Kcopyd(daemon.nodes[0]);
const space = instance.space(PAGES * PAGE_BYTES);
const clock = { writer: 0, daemon: 0, idle: 0 };

function runDaemon(): void {
  while (clock.daemon < clock.writer) {
    const before = workUs(daemon.nodes[0]);
    if (!kswapd.step() && !kcopyd.step()) {
      clock.idle += clock.writer - clock.daemon;
      clock.daemon = clock.writer;
      return;
    }
    clock.daemon += STEP_US + workUs(daemon.nodes[0]) - before;
  }
}

console.log(`${PAGES} pages of text in ${MEMORY_BYTES / MIB} MiB; us in virtual time\n`);
console.log('| pages | us a page | daemon idle | clean copies | free frames |');
console.log('|---:|---:|---:|---:|---:|');
let last = { ...clock };
for (let page = 0, row = 1; page < PAGES; page++) {
  runDaemon();
  const start = (page * SCATTER) % (text.length - PAGE_BYTES);
  const before = workUs(instance.node);
  space.write(page * PAGE_BYTES, text.subarray(start, start + PAGE_BYTES), 0, PAGE_BYTES);
  clock.writer += WRITE_US + workUs(instance.node) - before;
  if (page + 1 < Math.floor((row * PAGES) / PARTS)) continue;
  const us = clock.writer - last.writer;
  const { words } = instance.node;
  const cells = [(us / (PAGES / PARTS)).toFixed(2), `${((100 * (clock.idle - last.idle)) / us).toFixed(0)} %`];
  console.log(`| ${page + 1} | ${cells.join(' | ')} | ${words[L.H_CLEAN_COPIES]} | ${words[L.H_FREE_FRAMES]} |`);
  last = { ...clock };
  row++;
}
console.log(
  `\n${(clock.writer / PAGES).toFixed(2)} us a page, the daemon idle for ${((100 * clock.idle) / clock.writer).toFixed(1)} % of the time`,
);
