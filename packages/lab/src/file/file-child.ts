/** One column of `lab file`: a file through Quire, or through Node's fs. */
import { writeFileSync } from 'node:fs';
import { serveParent } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { openQuire, openQuireFile, QUIRE } from '../quire.ts';
import { NodeFile } from '../s2/node-file.ts';
import { type FilePhase, FileWork, type PagedFile } from './file-work.ts';

export interface FileChildArgs {
  readonly store: 'quire' | 'node';
  readonly path: string;
  readonly pages: number;
  /** Length of the writes that bring the file into the cache. */
  readonly chunkBytes: number;
}

/**
 * So much memory for the file that, as on the host, nothing is reclaimed and all of it dirty is less than the tenth of
 * memory from which on the flusher works beside the writer. What is not used is not taken.
 */
const BUDGET_PER_FILE = 16;

await serveParent<FileChildArgs>(async ({ store, path, pages, chunkBytes }) => {
  writeFileSync(path, '');
  const { file, close } = store === QUIRE ? await quireFile(path, pages) : nodeFile(path);
  const work = new FileWork(file, pages);
  work.fill(chunkBytes);
  return {
    run(line) {
      const [phase, calls] = line.split(' ');
      return { ns: work.run(phase as FilePhase, Number(calls)) };
    },
    finish: close,
  };
});

interface OpenFile {
  readonly file: PagedFile;
  close(): Promise<void>;
}

async function quireFile(path: string, pages: number): Promise<OpenFile> {
  const quire = await openQuire({ budget: pages * PAGE_BYTES * BUDGET_PER_FILE, threads: 'auto' });
  const file = await openQuireFile(quire, path, 'r+');
  return {
    file,
    async close() {
      await file.close();
      await quire.close();
    },
  };
}

function nodeFile(path: string): OpenFile {
  const file = new NodeFile(path, 'r+');
  return { file, close: () => Promise.resolve(file.close()) };
}
