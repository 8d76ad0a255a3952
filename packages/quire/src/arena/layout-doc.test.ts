/** docs/memory-layout.md against the code: every constant it quotes has the value it says, and none of the layout is left out. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import * as control from '../map/control.ts';
import * as entryWord from '../map/entry-word.ts';
import * as hashIndex from '../map/hash-index.ts';
import * as record from '../map/record.ts';
import * as runMeta from '../map/run-meta.ts';
import * as mapClasses from '../map/size-class.ts';
import * as tableSlab from '../page-alloc/table-slab.ts';
import * as fileDevices from '../swap/file-devices.ts';
import * as fileSegments from '../swap/file-segments.ts';
import * as poolClasses from '../swap/size-classes.ts';
import * as slotWord from '../swap/slot-word.ts';
import * as zsPool from '../swap/zs-pool.ts';
import * as frame from './frame.ts';
import * as layout from './layout.ts';

const DOCUMENT = new URL('../../../../docs/memory-layout.md', import.meta.url);

const MODULES: Record<string, object> = {
  'arena/layout.ts': layout,
  'arena/frame.ts': frame,
  'page-alloc/table-slab.ts': tableSlab,
  'swap/slot-word.ts': slotWord,
  'swap/zs-pool.ts': zsPool,
  'swap/size-classes.ts': poolClasses,
  'swap/file-devices.ts': fileDevices,
  'swap/file-segments.ts': fileSegments,
  'map/control.ts': control,
  'map/hash-index.ts': hashIndex,
  'map/entry-word.ts': entryWord,
  'map/record.ts': record,
  'map/run-meta.ts': runMeta,
  'map/size-class.ts': mapClasses,
};

/** Every exported number of these must be in the document. */
const COMPLETE = ['arena/layout.ts', 'arena/frame.ts', 'map/control.ts', 'map/entry-word.ts'];

interface Quoted {
  readonly module: string;
  readonly name: string;
  readonly value: number;
}

/** Rows like "| `NAME` | 1,234 | …", under a heading that names a file. */
function quotedConstants(text: string): Quoted[] {
  const quoted: Quoted[] = [];
  let module = '';
  for (const line of text.split('\n')) {
    const heading = /^#+ .*\(`([^`]+)`\)/.exec(line);
    if (line.startsWith('#')) module = heading?.[1] ?? '';
    const row = /^\| `([A-Z][A-Z0-9_]*)` \| ([-0-9a-fx,]+) \|/.exec(line);
    if (row !== null) quoted.push({ module, name: row[1], value: numberOf(row[2]) });
  }
  return quoted;
}

function numberOf(shown: string): number {
  const digits = shown.replaceAll(',', '');
  return digits.startsWith('-') ? -Number(digits.slice(1)) : Number(digits);
}

const text = readFileSync(DOCUMENT, 'utf8');

test('every constant that memory-layout.md quotes has the value it says', () => {
  const quoted = quotedConstants(text);
  assert.ok(quoted.length > 150, `only ${quoted.length} rows were recognised`);
  for (const { module, name, value } of quoted) {
    const constants = MODULES[module] as Record<string, unknown> | undefined;
    assert.ok(constants !== undefined, `${name} stands under no heading that names a known file (${module})`);
    assert.equal(value, constants[name], `${module}: ${name}`);
  }
});

test('memory-layout.md leaves no constant of the layout out', () => {
  const quoted = new Set(quotedConstants(text).map(({ module, name }) => `${module} ${name}`));
  for (const module of COMPLETE) {
    for (const [name, value] of Object.entries(MODULES[module])) {
      if (typeof value === 'number')
        assert.ok(quoted.has(`${module} ${name}`), `${module}: ${name} is not in the document`);
    }
  }
});

test('the table of node sizes is what nodeGeometry gives', () => {
  const rows = [...text.matchAll(/^\| ([\d,]+) MiB \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) KiB \| ([\d.]+) % \|$/gm)];
  assert.equal(rows.length, 5);
  for (const [row, size, frames, firstFree, staticKib, share] of rows) {
    const geometry = layout.nodeGeometry(numberOf(size) * MIB);
    assert.equal(geometry.frames, numberOf(frames), row);
    assert.equal(geometry.firstFree, numberOf(firstFree), row);
    assert.equal((geometry.firstFree * PAGE_BYTES) / 1024, numberOf(staticKib), row);
    assert.equal(((geometry.firstFree / geometry.frames) * 100).toFixed(2), share, row);
  }
});

test('the figures of overhead follow from the sizes', () => {
  const slot = 4 + (layout.CLUSTER_DESCRIPTOR_WORDS * 4) / layout.CLUSTER_SLOTS;
  assert.match(text, new RegExp(`^\\| frame \\| ${layout.FRAME_ARRAYS * 4} \\|`, 'm'));
  assert.match(text, new RegExp(`^\\| slot \\| ${slot.toFixed(2)} \\|`, 'm'));
  const compressed = (4 + slot + zsPool.OBJECT_HEADER_BYTES).toFixed(2);
  assert.match(text, new RegExp(`^\\| compressed page \\| ${compressed} \\|`, 'm'));
  const thread = layout.THREAD_WORDS * 4 + (PAGE_BYTES << layout.AREA_ORDER);
  assert.match(text, new RegExp(`^\\| thread \\| ${thread.toLocaleString('en-GB')} \\|`, 'm'));
  assert.match(text, new RegExp(`\\b${poolClasses.SIZE_CLASSES.length} classes, `));
});
