/** Several handles on one file: in one thread, in several, and programs that change the file behind them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { open, utimes } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { Quire } from './quire.ts';
import { startClient } from './testing/client.ts';
import { FileFolder } from './testing/file-folder.ts';

const MIB = 2 ** 20;

const folder = new FileFolder();
let quire: Quire;

before(async () => {
  quire = await Quire.open({ budget: '16MiB', threads: 0 });
});

after(async () => {
  await quire.close();
  folder.remove();
});

describe('handles on one file', () => {
  it('see what the others write, and its size', async () => {
    const path = folder.newPath('0123456789');
    const first = await quire.openFile(path, 'r+');
    const second = await quire.openFile(path, 'r');
    const third = await quire.openFile(path, 'a');
    const dirtyBefore = quire.stats().nr_file_pages;
    first.writeSync('ABC', 2);
    third.writeSync('end');
    const got = Buffer.alloc(20);
    assert.equal(second.readSync(got, 0, 20, 0), 13);
    assert.equal(got.toString('latin1', 0, 13), '01ABC56789end');
    assert.equal(first.size, 13);
    assert.ok(quire.stats().nr_file_pages - dirtyBefore <= 1, 'one page for all of them');
    await first.truncate(4);
    assert.equal(second.readSync(got, 0, 20, 0), 4);
    await first.close();
    await second.close();
    third.writeSync('!');
    await third.close();
    assert.equal(readFileSync(path, 'latin1'), '01AB!');
  });

  it('by another name are handles on the same file', async () => {
    const path = folder.newPath('x');
    const { link, symlink } = await import('node:fs/promises');
    await link(path, `${path}.hard`);
    await symlink(path, `${path}.soft`);
    const files = await Promise.all(['', '.hard', '.soft'].map((suffix) => quire.openFile(path + suffix, 'r+')));
    files[0].writeSync('shared');
    for (const file of files) assert.equal(await file.readFile('utf8'), file === files[0] ? '' : 'shared');
    for (const file of files) await file.close();
  });

  it("have positions of their own, and 'w' empties the file under the others", async () => {
    const path = folder.newPath('abcdefgh');
    const one = await quire.openFile(path, 'r');
    const two = await quire.openFile(path, 'r');
    const got = Buffer.alloc(2);
    assert.equal(one.readSync(got) + one.readSync(got), 4);
    assert.equal(two.readSync(got), 2);
    assert.equal(got.toString(), 'ab');
    const emptier = await quire.openFile(path, 'w');
    assert.equal(one.size, 0);
    assert.equal(one.readSync(got), 0);
    emptier.writeSync('0123456789');
    assert.equal(one.readSync(got), 2);
    assert.equal(got.toString(), '45');
    for (const file of [one, two, emptier]) await file.close();
  });

  it('of async calls without a position run in the order of the calls', async () => {
    const path = folder.newPath();
    const file = await quire.openFile(path, 'w+');
    const parts = Array.from({ length: 100 }, (_, i) => Buffer.from(String(i).repeat(i * 30)));
    await Promise.all(parts.map((part) => file.write(part)));
    assert.equal(file.size, Buffer.concat(parts).length);
    const again = await quire.openFile(path);
    const got = await Promise.all(parts.map((part) => again.read(Buffer.alloc(part.length))));
    for (const [i, { buffer }] of got.entries()) assert.deepEqual(buffer, parts[i]);
    await file.close();
    await again.close();
  });

  it('appends of all of them end up whole, one after the other', async () => {
    const path = folder.newPath();
    const files = await Promise.all([0, 1, 2].map(() => quire.openFile(path, 'a')));
    const line = (who: number, n: number): string => `${who} ${n} ${'x'.repeat(n % 50)}\n`;
    await Promise.all(
      files.flatMap((file, who) =>
        Array.from({ length: 200 }, (_, n) =>
          n % 2 === 0
            ? file.write(line(who, n))
            : file.writev([Buffer.from(`${who} `), Buffer.from(line(who, n).slice(2))]),
        ),
      ),
    );
    for (const file of files) await file.close();
    const lines = readFileSync(path, 'latin1').split(/(?<=\n)/);
    for (const who of [0, 1, 2]) {
      const own = lines.filter((each) => each.startsWith(`${who} `));
      assert.deepEqual(
        own,
        Array.from({ length: 200 }, (_, n) => line(who, n)),
      );
    }
  });
});

describe('other threads', () => {
  for (const threads of [0, 1]) {
    it(`share pages and sizes, with ${threads} daemons`, async () => {
      const other = await Quire.open({ budget: '16MiB', threads });
      const path = folder.newPath(Buffer.alloc(3 * MIB, 'a'));
      const file = await other.openFile(path, 'r+');
      await using client = await startClient(other.handle);
      const pathText = JSON.stringify(path);
      await client.run(`state.file = await quire.openFile(${pathText}, 'r+');`);
      file.writeSync('owner', 4094);
      const seen = await client.run(`
        const got = Buffer.alloc(9);
        state.file.readSync(got, 0, 9, 4092);
        state.file.writeSync('worker', 8190);
        await state.file.write('at the end', 3 * ${MIB});
        return got.toString();`);
      assert.equal(seen, 'aaownerae'.replace('ae', 'aa'));
      const got = Buffer.alloc(10);
      file.readSync(got, 0, 10, 8188);
      assert.equal(got.toString(), 'aaworkeraa');
      assert.equal(file.size, 3 * MIB + 10);
      // Both at once on bytes of their own, side by side in every page.
      const mine = (async () => {
        for (let page = 0; page < 700; page++) {
          file.writeSync(Buffer.alloc(100, page), 0, 100, page * 4096 + 200);
          if (page % 50 === 0) await file.datasync();
        }
      })();
      await client.run(`
        for (let page = 0; page < 700; page++) {
          state.file.writeSync(Buffer.alloc(100, page + 1), 0, 100, page * 4096 + 300);
          if (page % 70 === 0) await state.file.sync();
        }`);
      await mine;
      await client.run('await state.file.close(); await quire.close();');
      await client.end();
      await other.close();
      const bytes = readFileSync(path);
      assert.equal(bytes.length, 3 * MIB + 10);
      for (let page = 0; page < 700; page++) {
        assert.deepEqual(bytes.subarray(page * 4096 + 200, page * 4096 + 300), Buffer.alloc(100, page));
        assert.deepEqual(bytes.subarray(page * 4096 + 300, page * 4096 + 400), Buffer.alloc(100, page + 1));
      }
      assert.equal(bytes.subarray(3 * MIB).toString(), 'at the end');
    });
  }

  it('a file that a worker opened first stays with the others when the worker is gone', async () => {
    const other = await Quire.open({ budget: '16MiB', threads: 0 });
    const path = folder.newPath(Buffer.alloc(MIB, 'a'));
    const before = folder.descriptors();
    {
      await using client = await startClient(other.handle);
      await client.run(`state.file = await quire.openFile(${JSON.stringify(path)}, 'r+');`);
      const file = await other.openFile(path, 'r+');
      await client.run('await state.file.close(); await quire.close();');
      await client.end();
      // Whoever opens a file now gets the lowest number that is free.
      const decoys = await Promise.all([1, 2, 3].map(() => open(folder.newPath(), 'w+')));
      assert.deepEqual((await file.read(Buffer.alloc(3), 0, 3, 500_000)).buffer, Buffer.from('aaa'));
      file.writeSync('mine', 600_000);
      await file.sync();
      for (const decoy of decoys) {
        assert.equal((await decoy.stat()).size, 0);
        await decoy.close();
      }
      await file.close();
    }
    assert.equal(readFileSync(path).toString('latin1', 600_000, 600_004), 'mine');
    assert.equal(folder.descriptors(), before);
    await other.close();
  });

  it('the owner that closes first writes what they wrote; they get ERR_QUIRE_CLOSED', async () => {
    const other = await Quire.open({ budget: '16MiB', threads: 1 });
    const path = folder.newPath();
    await using client = await startClient(other.handle);
    await client.run(`
      state.file = await quire.openFile(${JSON.stringify(path)}, 'w+');
      state.file.writeSync('written by a worker');`);
    await other.close();
    assert.equal(readFileSync(path, 'latin1'), 'written by a worker');
    const calls = [
      'state.file.size',
      'state.file.readSync(Buffer.alloc(1))',
      'await state.file.read(Buffer.alloc(1))',
      `state.file.writeSync('x')`,
      `await state.file.write('x')`,
      'await state.file.truncate()',
      'await state.file.sync()',
      'await state.file.stat()',
      `await quire.openFile(${JSON.stringify(path)})`,
    ];
    for (const call of calls) {
      await assert.rejects(client.run(`return (${call})`), { code: 'ERR_QUIRE_CLOSED' }, call);
    }
    await client.run('await state.file.close(); await state.file.close(); await quire.close();');
    await client.end();
  });

  it('errors of opening come over from the owner', async () => {
    const other = await Quire.open({ budget: '8MiB', threads: 0 });
    await using client = await startClient(other.handle);
    const missing = folder.newPath();
    const body = `try { await quire.openFile(${JSON.stringify(missing)}); } catch (error) { return [error.code, error.cause.code, error.message]; }`;
    const [code, cause, message] = (await client.run(body)) as string[];
    assert.deepEqual([code, cause], ['ERR_QUIRE_IO', 'ENOENT']);
    assert.ok(message.includes(missing));
    const asBytes = `const file = await quire.openFile(Buffer.from(${JSON.stringify(folder.newPath('x'))})); const { size } = file; await file.close(); return size;`;
    assert.equal(await client.run(asBytes), 1);
    await client.run('await quire.close();');
    await client.end();
    await other.close();
  });

  it('a worker that leaves without closing: its bytes are written when the instance closes', async () => {
    const other = await Quire.open({ budget: '16MiB', threads: 0 });
    const path = folder.newPath();
    await using client = await startClient(other.handle);
    await client.run(`(await quire.openFile(${JSON.stringify(path)}, 'w')).writeSync('left behind');`);
    await client.end();
    await other.close();
    assert.equal(readFileSync(path, 'latin1'), 'left behind');
  });
});

describe('changes by others', () => {
  it('are seen when the file is opened again', async () => {
    const path = folder.newPath('old bytes');
    const first = await quire.openFile(path);
    assert.equal(await first.readFile('utf8'), 'old bytes');
    writeFileSync(path, 'new bytes, more of them');
    await utimes(path, 1, 1);
    const second = await quire.openFile(path);
    assert.equal(await second.readFile('utf8'), 'new bytes, more of them');
    await first.close();
    await second.close();
  });

  it('of the same size are seen by the time', async () => {
    const path = folder.newPath('12345');
    const first = await quire.openFile(path);
    assert.equal(await first.readFile('utf8'), '12345');
    writeFileSync(path, 'abcde');
    await utimes(path, 2, 2);
    const second = await quire.openFile(path);
    assert.equal(await second.readFile('utf8'), 'abcde');
    await first.close();
    await second.close();
  });
});
