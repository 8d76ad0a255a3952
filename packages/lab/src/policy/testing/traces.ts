/** Traces for tests: from a line of letters, and at random. */
import * as fc from 'fast-check';
import { type Trace, TraceRecorder } from '../trace.ts';

/**
 * One event a token: `a` reads page a, `a!` writes part of it, `a!!` all of it, `a-` frees it. A page's first write is its
 * birth.
 */
export function traceOf(line: string): Trace {
  const recorder = new TraceRecorder();
  for (const token of line.split(' ')) {
    const key = token.charCodeAt(0);
    const what = token.slice(1);
    if (what === '') recorder.read(key);
    else if (what === '-') recorder.free(key);
    else recorder.write(key, what === '!!');
  }
  return recorder.trace('test');
}

/** Births of the named pages, in order; they fill a memory of their number. */
export function births(pages: string): string {
  return [...pages].map((page) => `${page}!`).join(' ');
}

export interface TraceShape {
  readonly pages: number;
  readonly eventsMax: number;
}

/** Any trace: three in four events are reads of pages that mostly have bytes. */
export function anyTrace({ pages, eventsMax }: TraceShape): fc.Arbitrary<Trace> {
  const event = fc.tuple(fc.nat(15), fc.nat(pages - 1));
  return fc.array(event, { maxLength: eventsMax, size: 'max' }).map((events) => {
    const recorder = new TraceRecorder();
    for (let page = 0; page < pages; page += 2) recorder.write(page, true);
    for (const [action, page] of events) {
      if (action === 0) recorder.free(page);
      else if (action < 3) recorder.write(page, action === 1);
      else recorder.read(page);
    }
    return recorder.trace('random');
  });
}
