/**
 * A trace on disk: a line of text, then one little-endian word an event (trace.ts).
 *
 *     quire-trace 1 PAGES EVENTS NAME\n
 *
 * What is read is checked event by event, so that a file that was cut off, or made by another program, is refused instead of
 * replayed as something else.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { BORN, eventOf, FREED, kindOf, pageOf, type Trace } from './trace.ts';

const HEAD = /^quire-trace 1 (\d{1,9}) (\d{1,10}) (\S{1,60})$/;
const HEAD_BYTES_MAX = 100;
const EVENT_BYTES = 4;
const LINE_FEED = 10;

export function writeTrace(path: string, { name, pages, events }: Trace): void {
  const head = Buffer.from(`quire-trace 1 ${pages} ${events.length} ${name}\n`);
  const bytes = Buffer.alloc(head.length + events.length * EVENT_BYTES);
  head.copy(bytes);
  for (let i = 0; i < events.length; i++) bytes.writeInt32LE(events[i], head.length + i * EVENT_BYTES);
  writeFileSync(path, bytes);
}

/** Throws what the file system says, and an Error for a file that is no trace. */
export function readTrace(path: string): Trace {
  const bytes = readFileSync(path);
  const end = bytes.subarray(0, HEAD_BYTES_MAX).indexOf(LINE_FEED);
  const head = HEAD.exec(bytes.toString('utf8', 0, Math.max(end, 0)));
  if (head === null) throw new Error(`${path} is no trace: it does not begin with 'quire-trace 1 PAGES EVENTS NAME'`);
  const [pages, count] = [Number(head[1]), Number(head[2])];
  const body = bytes.subarray(end + 1);
  if (body.length !== count * EVENT_BYTES)
    throw new Error(
      `${path} has ${body.length} bytes of events, not ${count * EVENT_BYTES}: it was cut off, or goes on`,
    );
  const events = Int32Array.from({ length: count }, (_, i) => body.readInt32LE(i * EVENT_BYTES));
  const wrong = firstWrong(events, pages);
  if (wrong >= 0) throw new Error(`${path}: event ${wrong} cannot happen to its page, or names none of ${pages}`);
  return { name: head[3], pages, events };
}

/** The first event that no recorder writes, −1 when there is none. */
function firstWrong(events: Int32Array, pages: number): number {
  const hasBytes = new Uint8Array(pages);
  return events.findIndex((event) => {
    const page = pageOf(event);
    const kind = kindOf(event);
    if (kind > FREED || page >= pages || event !== eventOf(page, kind)) return true;
    if ((kind === BORN) === (hasBytes[page] === 1)) return true;
    hasBytes[page] = kind === FREED ? 0 : 1;
    return false;
  });
}
