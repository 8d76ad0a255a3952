/** A disk that is really full. Where none can be made only the simulated disk is tried (faults.fault.test.ts). */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Quire } from '../api/quire.ts';
import { KIB, MIB } from '../base/units.ts';
import { Random } from '../simulator/random.ts';
import { mountSmall } from '../testing/small-disk.ts';
import { isCode, makeBytes } from './file-work.ts';

for (const threads of [0, 1]) {
  test(`a full disk: each handle is told once, the bytes stay, and a sync with room again writes them (threads ${threads})`, async (context) => {
    const directory = mountSmall(context, 2 * MIB);
    if (directory === undefined) return;
    const filler = join(directory, 'filler');
    writeFileSync(filler, new Uint8Array(1.5 * MIB));
    const bytes = makeBytes(new Random(1), 1.25 * MIB);
    await using quire = await Quire.open({ budget: 16 * MIB, swap: [], threads });
    const path = join(directory, 'file');
    const first = await quire.openFile(path, 'w+');
    const second = await quire.openFile(path, 'r+');
    for (let at = 0; at < bytes.length; at += 100 * KIB) {
      const length = Math.min(100 * KIB, bytes.length - at);
      assert.equal((await first.write(bytes, at, length, at)).bytesWritten, length);
    }
    await assert.rejects(first.sync(), (error) => {
      assert.ok(isCode(error, 'ERR_QUIRE_IO'), String(error));
      assert.match(String((error as Error).cause), /ENOSPC/);
      return true;
    });
    await assert.rejects(second.datasync(), { code: 'ERR_QUIRE_IO' });
    const read = new Uint8Array(bytes.length);
    assert.equal((await second.read(read, 0, read.length, 0)).bytesRead, bytes.length);
    assert.equal(Buffer.compare(read, bytes), 0, 'what could not be written is still there to read');
    rmSync(filler);
    await syncTillQuiet(first);
    assert.equal(Buffer.compare(readFileSync(path), bytes), 0, 'everything is on disk');
    await syncTillQuiet(second);
    await first.close();
    await second.close();
  });
}

/** A writeback that was under way while the room was made may have failed once more; it is told of once. */
async function syncTillQuiet(file: { sync(): Promise<void> }): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    if (!isCode(error, 'ERR_QUIRE_IO')) throw error;
    await file.sync();
  }
}
