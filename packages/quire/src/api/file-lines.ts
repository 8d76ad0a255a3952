/**
 * Lines of a file. Split as bytes: in UTF-8 a byte 10 is always the end of a line, so each line is decoded once, whole,
 * and no character is cut between two reads.
 */

/** Bytes a read: the size of Node's file streams. */
const CHUNK_BYTES = 64 * 1024;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/** Reads into `target` at `position`; the number of bytes, 0 at the end. */
export type ReadAt = (target: Uint8Array, position: number) => Promise<number>;

/** Lines from byte `start` to byte `end` (exclusive), without their '\n' or '\r\n'. The last one need not have an end. */
export async function* linesOf(readAt: ReadAt, start: number, end: number): AsyncGenerator<string, void, undefined> {
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let held = 0; // bytes of an unfinished line, at the start of the chunk
  for (let position = start; position < end; ) {
    if (held === chunk.length) chunk = Buffer.concat([chunk], chunk.length * 2);
    const got = await readAt(chunk.subarray(held, Math.min(chunk.length, held + end - position)), position);
    if (got === 0) break;
    position += got;
    const filled = held + got;
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED, held); at >= 0 && at < filled; at = chunk.indexOf(LINE_FEED, from)) {
      yield lineOf(chunk, from, at);
      from = at + 1;
    }
    chunk.copyWithin(0, from, filled);
    held = filled - from;
  }
  if (held > 0) yield chunk.toString('utf8', 0, held);
}

function lineOf(chunk: Buffer, from: number, end: number): string {
  return chunk.toString('utf8', from, end > from && chunk[end - 1] === CARRIAGE_RETURN ? end - 1 : end);
}
