import type { TestEvent } from 'node:test/reporters';

/**
 * A node:test reporter that writes one JSON line when the file's tests have ended, and nothing when the process stopped before
 * (`process.exit` in a test, a crash, a file without tests): an absent line is a failure, so no test can vanish unseen.
 */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly todo: number;
}

// biome-ignore lint/style/noDefaultExport: node:test loads a reporter's default export.
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const tally = { passed: 0, failed: 0, skipped: 0, todo: 0 };
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { data } = event;
    if (data.details.type === 'suite') continue;
    if (data.skip !== undefined && data.skip !== false) tally.skipped++;
    else if (data.todo !== undefined && data.todo !== false) tally.todo++;
    else if (event.type === 'test:pass') tally.passed++;
    else tally.failed++;
  }
  yield `${JSON.stringify(tally)}\n`;
}

export function parseTally(text: string): Tally | undefined {
  return text === '' ? undefined : (JSON.parse(text) as Tally);
}

export function countTests(tally: Tally): number {
  return tally.passed + tally.failed + tally.skipped + tally.todo;
}
