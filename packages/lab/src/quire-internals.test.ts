import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeFileFolder } from './file-folder.ts';
import { openQuire, openQuireFile } from './quire.ts';
import { QuireInternals } from './quire-internals.ts';

const FOLIO_BYTES = 2 * 2 ** 20;

describe('QuireInternals', () => {
  it('sees the orders of folios, rewinds a handle and walks, with the bytes as they should be', async () => {
    const folder = makeFileFolder('tmpfs');
    const quire = await openQuire({ budget: 64 * 2 ** 20, threads: 0 });
    const internals = await QuireInternals.of(quire);
    const path = join(folder.path, 'file');
    writeFileSync(path, '');
    const file = await openQuireFile(quire, path, 'r+');
    file.writeSync(Buffer.alloc(FOLIO_BYTES, 1), 0, FOLIO_BYTES, 0);
    file.writeSync(Buffer.alloc(4096, 2), 0, 4096, FOLIO_BYTES);
    const pages = internals.pagesByOrder(file, 0, FOLIO_BYTES + 3 * 4096);
    assert.deepEqual(pages, [1, 0, 0, 0, 0, 0, 0, 0, 0, 512, 2]);
    internals.switchNaiveWalkOn(file);
    for (const byte of [3, 4]) {
      internals.rewind(file);
      assert.equal(file.writeSync(Buffer.alloc(1024, byte), 0, 1024, null), 1024);
      const seen = Buffer.alloc(2048);
      assert.equal(file.readSync(seen, 0, 2048, 0), 2048);
      assert.deepEqual(seen, Buffer.concat([Buffer.alloc(1024, byte), Buffer.alloc(1024, 1)]));
    }
    await file.close();
    await quire.close();
    folder.remove();
  });

  it('counts the loads of reads too, which a kernel does otherwise', async () => {
    const quire = await openQuire({ budget: 16 * 2 ** 20, threads: 0 });
    const internals = await QuireInternals.of(quire);
    const region = quire.region({ size: 2 ** 20, name: 'loads' });
    const bytes = new Uint8Array(64);
    region.write(4096, bytes.fill(7));
    const loads = internals.countLoads(() => {
      for (let times = 0; times < 10; times += 1) region.read(4096, bytes.fill(0));
    });
    assert.ok(loads.entry >= 10, `${loads.entry} loads of entries`);
    assert.deepEqual(bytes, new Uint8Array(64).fill(7));
    await quire.close();
  });

  it('takes frames and gives them back', async () => {
    const quire = await openQuire({ budget: 16 * 2 ** 20, threads: 0, swap: [] });
    const internals = await QuireInternals.of(quire);
    const before = Number(quire.stats()['nr_free_pages']);
    const taken = Array.from({ length: 100 }, () => internals.takeFrame());
    assert.equal(new Set(taken).size, 100);
    assert.equal(Number(quire.stats()['nr_free_pages']), before - 100);
    assert.ok(internals.frames >= before);
    for (const pfn of taken) internals.giveFrame(pfn);
    assert.equal(Number(quire.stats()['nr_free_pages']), before);
    await quire.close();
  });
});
