/** The declarations as a strict program outside of this workspace meets them: every one of them is checked. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const MODULES = fileURLToPath(new URL('../../../../node_modules', import.meta.url));

const PROGRAM = `
import { type PressureEvent, Quire, QuireError, type QuireStats, type Region, type TierStats } from 'quire';
interface Doc { readonly title: string }
const quire = await Quire.open({
  budget: '32MiB',
  swap: [{ tier: 'compressed', codec: 'lz4' }, { tier: 'file', path: '/tmp', size: '128MiB', priority: 3 }],
  threads: 'auto',
});
const docs = quire.map<string, Doc>({ value: 'json', ttlMs: 1000, maxBytes: '16MiB' });
docs.set('a', { title: 'first' });
const title: string | undefined = docs.get('a')?.title;
const region: Region = quire.region({ size: '64MiB', group: 'g' });
region.write(0, Buffer.from('hi'));
{ using clone = region.clone(); clone.read(0, new Uint8Array(2)); }
quire.on('pressure', (event: PressureEvent) => event.kind);
const stats: QuireStats = quire.stats();
const failing: readonly TierStats[] = stats.tiers.filter(({ error }) => error === 'ENOSPC');
const attached = Quire.attach(structuredClone(quire.handle));
try { region.write(-1, new Uint8Array(1)); } catch (error) { if (error instanceof QuireError) error.code satisfies string; }
// @ts-expect-error: no such option
quire.region({ sise: 1 });
export { attached, failing, title };
`;

let folder = '';

function compile(lib: string[]): string {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    module: 'nodenext',
    target: 'es2022',
    lib,
    types: ['node'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.mts'] }));
  const tsc = join(MODULES, 'typescript', 'bin', 'tsc');
  return spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout;
}

describe('declarations', () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quire-types-'));
    symlinkSync(MODULES, join(folder, 'node_modules'));
    writeFileSync(join(folder, 'program.mts'), PROGRAM);
  });
  after(() => rmSync(folder, { recursive: true }));

  it('compile without the DOM library', () => {
    assert.equal(compile(['esnext']), '');
  });

  it('compile beside the DOM library', () => {
    assert.equal(compile(['esnext', 'dom']), '');
  });

  it('are really read: a wrong program does not compile', () => {
    writeFileSync(join(folder, 'program.mts'), PROGRAM.replace('// @ts-expect-error: no such option', ''));
    assert.match(compile(['esnext']), /sise/);
  });
});
