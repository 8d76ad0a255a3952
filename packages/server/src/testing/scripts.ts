/** The scripts that are recorded and compared: the written ones of fixtures/scripts, and random ones from seeds. */
import { readdirSync, readFileSync } from 'node:fs';
import { randomScript } from './random-script.ts';

export interface Script {
  name: string;
  text: string;
}

const root = new URL('../../', import.meta.url);
const folder = new URL('fixtures/scripts/', root);

export function writtenScripts(): Script[] {
  return readdirSync(folder)
    .sort()
    .map((file) => ({ name: file.replace('.txt', ''), text: readFileSync(new URL(file, folder), 'latin1') }));
}

export function randomScripts(firstSeed: number, count: number, lines: number): Script[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `random-${firstSeed + i}`,
    text: randomScript(firstSeed + i, lines).join('\n'),
  }));
}

export interface Transcript {
  name: string;
  text: string;
  answers: string[];
}

/** Where a recording is kept. */
export const TRANSCRIPTS = new URL('fixtures/redis-7.0.15.json', root);

export function readTranscripts(): Transcript[] {
  return JSON.parse(readFileSync(TRANSCRIPTS, 'utf8')) as Transcript[];
}
