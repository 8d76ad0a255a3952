/**
 * Four times the budget, held: 16,384 pages of 4 KiB in 16 MiB. Prints where they are, reads all of them back and compares.
 *
 *   node examples/budget.mjs
 */
import { formatBytes, Quire } from 'quire';

const BUDGET_BYTES = 16 * 1024 * 1024;
const PAGE_BYTES = 4096;
const PAGES = (4 * BUDGET_BYTES) / PAGE_BYTES;

/** Page `p`: lines of text with its number in them, so that each page is different and compresses as logs do. */
function pageOf(p) {
  const lines = [];
  for (let line = 0; line < 64; line++)
    lines.push(`page ${p} line ${line} answered in ${(p * 31 + line * 17) % 977} ms\n`);
  return Buffer.from(lines.join('').padEnd(PAGE_BYTES, '.').slice(0, PAGE_BYTES));
}

const quire = await Quire.open({ budget: BUDGET_BYTES });
const region = quire.region({ size: PAGES * PAGE_BYTES, name: 'log' });

for (let p = 0; p < PAGES; p++) region.write(p * PAGE_BYTES, pageOf(p));

const stats = quire.stats();
const show = (label, text) => console.log(`${label.padEnd(24)}${text}`);
show('written', formatBytes(PAGES * PAGE_BYTES));
show('budget', formatBytes(stats.budget_bytes));
show('used of it', formatBytes(stats.used_bytes));
show('resident pages', formatBytes(stats.nr_anon_pages * PAGE_BYTES));
show(
  'compressed pages',
  `${formatBytes(stats.compressed_original_bytes)} in ${formatBytes(stats.nr_zspages * PAGE_BYTES)}`,
);
show('page tables and slots', formatBytes(stats.table_pages * PAGE_BYTES));

let wrong = 0;
const page = Buffer.alloc(PAGE_BYTES);
for (let p = 0; p < PAGES; p++) {
  region.read(p * PAGE_BYTES, page);
  if (!page.equals(pageOf(p))) wrong++;
}
show('pages read back wrong', wrong);

if (wrong > 0 || stats.used_bytes > stats.budget_bytes) process.exitCode = 1;

region.close();
await quire.close();
