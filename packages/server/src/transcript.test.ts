/**
 * Conversations recorded from Redis 7.0.15 (`npm run -s record -w packages/server`), replayed against this server reply by reply: on
 * in-heap maps, and on Quire.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandTable } from './command-table.ts';
import { allHandlers } from './commands/all.ts';
import { QuireStore } from './quire-store.ts';
import { compareScript } from './testing/compare.ts';
import { MemoryStore } from './testing/memory-store.ts';
import { readTranscripts, writtenScripts } from './testing/scripts.ts';

/** No reply of these can be compared: they differ from run to run, or were added after 7.0. The other tests look at them. */
const NOT_IN_TRANSCRIPTS = [
  'client|setinfo',
  'client|no-touch',
  'memory|stats',
  'memory|doctor',
  'memory|malloc-stats',
];

const transcripts = readTranscripts();

describe('replies of Redis 7.0.15', () => {
  for (const { name, text, answers } of transcripts) {
    it(`${name}, on in-heap maps`, async () => {
      assert.deepEqual(await compareScript(text, answers, new MemoryStore()), []);
    });
    it(`${name}, on Quire`, async () => {
      const store = await QuireStore.open({ budget: 16 << 20, swapSize: 0, swapFile: undefined, threads: 0 });
      assert.deepEqual(await compareScript(text, answers, store), []);
    });
  }

  it('were recorded from the scripts as they are', () => {
    const written = transcripts.filter(({ name }) => !name.startsWith('random-'));
    const scripts = new Map(writtenScripts().map(({ name, text }) => [name, text]));
    assert.deepEqual(
      written.map(({ name }) => name),
      [...scripts.keys()],
    );
    const outdated = written.filter(({ name, text }) => scripts.get(name) !== text).map(({ name }) => name);
    assert.deepEqual(outdated, []);
  });

  it('cover every command', () => {
    const words = new Set<string>();
    for (const { text } of transcripts) {
      for (const line of text.split('\n')) {
        const plain = line.replace(/^([@!~]\S+ +)+/, '').toLowerCase();
        const [first, second] = plain.split(/\s+/);
        words.add(first);
        words.add(`${first}|${second}`);
      }
    }
    const missing = [...new CommandTable(allHandlers(undefined as never)).all()]
      .filter(
        ({ name, subcommands }) => subcommands === undefined && !words.has(name) && !NOT_IN_TRANSCRIPTS.includes(name),
      )
      .map(({ name }) => name);
    assert.deepEqual(missing, []);
  });
});
