import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { WrongAnswer } from '../benchmark.ts';
import { Child } from '../child.ts';
import { Corpus, PAGE_BYTES } from '../corpus.ts';
import { packageRoot } from '../paths.ts';
import { Xorshift32 } from '../rng.ts';
import { limitFor } from './host-column.ts';
import { corpusStore, type PhaseResult, phaseLines, runPhase, type Store, workOf } from './workload.ts';

const PAGES = 256;
const SEED = 99;

function textOf(seed: number, bytes: number): Uint8Array {
  const rng = new Xorshift32(seed);
  return Uint8Array.from({ length: bytes }, () => 32 + rng.below(90));
}

/** Plain memory: the model of every column. */
function memoryStore(pages: number): Store & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(pages * PAGE_BYTES);
  return {
    bytes,
    write: (offset, source) => bytes.set(source, offset),
    read: (offset, target) => target.set(bytes.subarray(offset, offset + target.length)),
  };
}

function sumsOf(store: Store, corpus: Corpus): number[] {
  const rng = new Xorshift32(SEED);
  return phaseLines(workOf(PAGES)).map((line) => runPhase(line, store, corpus, PAGES, rng).sum);
}

/** The fifth of the pages read most, and their share of the reads. */
function hottest(reads: readonly number[]): { pages: Set<number>; share: number } {
  const counts = new Map<number, number>();
  for (const page of reads) counts.set(page, (counts.get(page) ?? 0) + 1);
  const top = [...counts].sort((a, b) => b[1] - a[1]).slice(0, Math.floor(PAGES / 5));
  const inTop = top.reduce((sum, [, count]) => sum + count, 0);
  return { pages: new Set(top.map(([page]) => page)), share: inTop / reads.length };
}

describe('the work of lab swap', () => {
  const corpus = new Corpus(textOf(1, 50_000));

  it('has the same checksums over memory as over the corpus itself', () => {
    assert.deepEqual(sumsOf(memoryStore(PAGES), corpus), sumsOf(corpusStore(corpus), corpus));
  });

  it('sees a store that forgets, in verify and in the checksums', () => {
    const store = memoryStore(PAGES);
    const rng = new Xorshift32(SEED);
    runPhase('fill', store, corpus, PAGES, rng);
    store.bytes.fill(0);
    assert.throws(() => runPhase('verify 10', store, corpus, PAGES, new Xorshift32(SEED)), WrongAnswer);
    const wrong = runPhase('random 500', store, corpus, PAGES, new Xorshift32(SEED)).sum;
    assert.notEqual(wrong, runPhase('random 500', corpusStore(corpus), corpus, PAGES, new Xorshift32(SEED)).sum);
  });

  it('reads aligned units of 1 KiB, of every page in the end', () => {
    const touched = new Set<number>();
    const watching: Store = {
      write: () => undefined,
      read(offset, target) {
        assert.equal(target.length, 1024);
        assert.equal(offset % 1024, 0);
        assert.ok(offset >= 0 && offset < PAGES * PAGE_BYTES);
        touched.add(Math.floor(offset / PAGE_BYTES));
      },
    };
    for (const phase of ['random', 'hot']) {
      touched.clear();
      runPhase(`${phase} 50000`, watching, corpus, PAGES, new Xorshift32(SEED));
      assert.equal(touched.size, PAGES, phase);
    }
  });

  it('sends four fifths of hot reads to a fifth of the pages, and moves that fifth', () => {
    const ops = 100_000;
    const order: number[] = [];
    const recording: Store = {
      write: () => undefined,
      read: (offset) => void order.push(Math.floor(offset / PAGE_BYTES)),
    };
    runPhase(`hot ${ops}`, recording, corpus, PAGES, new Xorshift32(SEED));
    const first = hottest(order.slice(0, ops / 10));
    assert.ok(first.share > 0.75 && first.share < 0.85, `share ${first.share}`);
    const last = hottest(order.slice(-ops / 10));
    const kept = [...first.pages].filter((page) => last.pages.has(page)).length;
    assert.ok(kept < first.pages.size / 3, `${kept} of ${first.pages.size} pages are still hot`);
  });

  it('refuses a phase it does not know', () => {
    assert.throws(() => runPhase('dance 1', memoryStore(1), corpus, 1, new Xorshift32(1)), RangeError);
  });
});

describe('native/host-swap.c', () => {
  const folder = mkdtempSync(join(tmpdir(), 'quire-lab-test-'));
  after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, 'host-swap');
  const compiled = spawnSync('cc', ['-O2', '-Wall', '-Werror', '-o', program, join(packageRoot, 'native/host-swap.c')]);
  const file = join(folder, 'corpus.txt');
  const text = textOf(5, 123_457);
  writeFileSync(file, text);

  it('makes the same pages and reads the same sequence as TypeScript', async () => {
    // A machine without a C compiler has no host column either.
    if (compiled.error !== undefined) return;
    assert.equal(compiled.status, 0, `${compiled.stderr}`);
    const corpus = new Corpus(text);
    const child = new Child(program, [file, `${PAGES}`, `${SEED}`, '', '0']);
    await child.ready('host');
    const page = new Uint8Array(PAGE_BYTES);
    for (const index of [0, 1, 77, 262_143]) {
      corpus.page(index, page);
      const { hex } = await child.phase<{ hex: string }>(`page ${index}`);
      assert.equal(hex, Buffer.from(page).toString('hex'), `page ${index}`);
    }
    const expected = sumsOf(corpusStore(corpus), corpus);
    for (const [index, line] of phaseLines(workOf(PAGES)).entries()) {
      assert.equal((await child.phase<PhaseResult>(line)).sum, expected[index], line);
    }
    await child.end();
  });
});

describe('limitFor', () => {
  it('leaves the total at the budget for the given ratio', () => {
    for (const ratio of [1.5, 2, 3]) {
      const limit = limitFor(1000, 700, ratio);
      assert.ok(Math.abs(limit + (1000 - limit) / ratio - 700) < 1e-9);
    }
  });
});
