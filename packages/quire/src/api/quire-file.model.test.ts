/** The same calls on a QuireFile and on Node's FileHandle: the same results, the same bytes in the end. */
import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { FileFlags } from './file-flags.ts';
import { Quire } from './quire.ts';
import type { QuireFile } from './quire-file.ts';
import { FileFolder } from './testing/file-folder.ts';

/** Two twins: handles on two files that began the same and got the same calls. */
interface Twins {
  readonly ours: QuireFile;
  readonly nodes: FileHandle;
}

/** Runs one call on both and compares what it gives. */
type Call = (twins: Twins) => Promise<void>;

/** A form of Node 18.3 that its types of version 20 leave out. */
async function writeByOptions(
  handle: FileHandle,
  bytes: Buffer,
  options: { readonly offset: number; readonly length: number; readonly position: number | null },
): Promise<number> {
  const { bytesWritten } = await handle.write(bytes, options as unknown as number);
  return bytesWritten;
}

const POSITIONS_MAX = 40_000;

function bytesFor(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (seed * 31 + i * 7 + (i >>> 8)) & 0xff;
  return bytes;
}

const position = fc.option(
  fc.oneof(
    fc.integer({ min: 0, max: POSITIONS_MAX }),
    fc.integer({ min: 0, max: 9 }).map((page) => page * 4096),
    fc
      .integer({ min: 0, max: 9 })
      .chain((page) => fc.integer({ min: -2, max: 2 }).map((by) => Math.max(0, page * 4096 + by))),
  ),
);
const length = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 12_000 }), fc.constant(4096));
const seed = fc.integer({ min: 0, max: 250 });

const write = fc
  .tuple(seed, length, fc.integer({ min: 0, max: 50 }), position, fc.constantFrom('sync', 'async', 'options', 'text'))
  .map(
    ([from, size, offset, at, form]): Call =>
      async ({ ours, nodes }) => {
        const bytes = bytesFor(from, size + offset);
        if (form === 'text') {
          const text = bytes.toString('hex');
          const got = await ours.write(text, at, 'latin1');
          assert.deepEqual(got, { ...(await nodes.write(text, at as number, 'latin1')) });
        } else if (form === 'sync') {
          assert.equal(ours.writeSync(bytes, offset, size, at), writeSync(nodes.fd, bytes, offset, size, at));
        } else if (form === 'options') {
          const got = await ours.write(bytes, { offset, length: size, position: at });
          assert.equal(got.bytesWritten, await writeByOptions(nodes, bytes, { offset, length: size, position: at }));
          assert.equal(got.buffer, bytes);
        } else {
          const got = await ours.write(bytes, offset, size, at);
          assert.equal(got.bytesWritten, (await nodes.write(bytes, offset, size, at)).bytesWritten);
        }
      },
  );

const read = fc
  .tuple(length, fc.integer({ min: 0, max: 50 }), position, fc.constantFrom('sync', 'async', 'options', 'buffer'))
  .map(
    ([size, offset, at, form]): Call =>
      async ({ ours, nodes }) => {
        const here = Buffer.alloc(size + offset, 1);
        const there = Buffer.alloc(size + offset, 1);
        let got: number;
        let wanted: number;
        if (form === 'sync') {
          got = ours.readSync(here, offset, size, at);
          wanted = readSync(nodes.fd, there, offset, size, at);
        } else if (form === 'options') {
          got = (await ours.read(here, { offset, length: size, position: at })).bytesRead;
          wanted = (await nodes.read(there, { offset, length: size, position: at })).bytesRead;
        } else if (form === 'buffer') {
          got = (await ours.read({ buffer: here, offset, length: size, position: at })).bytesRead;
          wanted = (await nodes.read({ buffer: there, offset, length: size, position: at })).bytesRead;
        } else {
          got = (await ours.read(here, offset, size, at)).bytesRead;
          wanted = (await nodes.read(there, offset, size, at)).bytesRead;
        }
        assert.equal(got, wanted, `bytes read at ${at}`);
        assert.equal(Buffer.compare(here, there), 0, `bytes at ${at}`);
      },
  );

const readWithoutBuffer = position.map(
  (at): Call =>
    async ({ ours, nodes }) => {
      const got = await ours.read({ position: at });
      const wanted = await nodes.read({ position: at });
      assert.equal(got.bytesRead, wanted.bytesRead);
      assert.equal(Buffer.compare(got.buffer, wanted.buffer), 0);
    },
);

const vectors = fc
  .tuple(seed, fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 5 }), position, fc.boolean())
  .map(
    ([from, sizes, at, isSync]): Call =>
      async ({ ours, nodes }) => {
        const parts = sizes.map((size, i) => bytesFor(from + i, size));
        const written = isSync ? ours.writevSync(parts, at) : (await ours.writev(parts, at)).bytesWritten;
        assert.equal(written, (await nodes.writev(parts, at as number | undefined)).bytesWritten);
      },
  );

const readVectors = fc
  .tuple(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 }), position, fc.boolean())
  .map(
    ([sizes, at, isSync]): Call =>
      async ({ ours, nodes }) => {
        const here = sizes.map((size) => Buffer.alloc(size));
        const there = sizes.map((size) => Buffer.alloc(size));
        const got = isSync ? ours.readvSync(here, at) : (await ours.readv(here, at)).bytesRead;
        assert.equal(got, (await nodes.readv(there, at as number | undefined)).bytesRead);
        assert.deepEqual(here, there);
      },
  );

const truncate = fc.integer({ min: 0, max: POSITIONS_MAX }).map(
  (size): Call =>
    async ({ ours, nodes }) => {
      await ours.truncate(size);
      await nodes.truncate(size);
    },
);

const stat: fc.Arbitrary<Call> = fc.constant(async ({ ours, nodes }) => {
  const { size } = await nodes.stat();
  assert.equal((await ours.stat()).size, size);
  assert.equal((await ours.stat({ bigint: true })).size, BigInt(size));
  assert.equal(ours.size, size);
});

const sync = fc.boolean().map(
  (withMetadata): Call =>
    async ({ ours }) => {
      if (withMetadata) await ours.sync();
      else await ours.datasync();
    },
);

const rest: fc.Arbitrary<Call> = fc.constant(async ({ ours, nodes }) => {
  assert.equal(Buffer.compare(await ours.readFile(), await nodes.readFile()), 0);
});

const appendFile = fc.tuple(seed, length).map(
  ([from, size]): Call =>
    async ({ ours, nodes }) => {
      await ours.appendFile(bytesFor(from, size));
      await nodes.appendFile(bytesFor(from, size));
    },
);

const call = fc.oneof(
  { weight: 6, arbitrary: write },
  { weight: 6, arbitrary: read },
  { weight: 1, arbitrary: readWithoutBuffer },
  { weight: 3, arbitrary: vectors },
  { weight: 3, arbitrary: readVectors },
  { weight: 2, arbitrary: truncate },
  { weight: 1, arbitrary: stat },
  { weight: 1, arbitrary: sync },
  { weight: 1, arbitrary: rest },
  { weight: 1, arbitrary: appendFile },
);

describe('QuireFile and FileHandle', () => {
  const folder = new FileFolder();
  let quire: Quire;

  before(async () => {
    quire = await Quire.open({ budget: '16MiB', threads: 0 });
  });

  after(async () => {
    await quire.close();
    folder.remove();
  });

  async function openTwins(path: string, flags: FileFlags): Promise<Twins> {
    return { ours: await quire.openFile(`${path}.ours`, flags), nodes: await open(`${path}.node`, flags) };
  }

  async function closeTwins({ ours, nodes }: Twins): Promise<void> {
    await ours.close();
    await nodes.close();
  }

  async function compareFiles(path: string): Promise<void> {
    const [ours, nodes] = await Promise.all([readFile(`${path}.ours`), readFile(`${path}.node`)]);
    assert.equal(ours.length, nodes.length, 'size on disk');
    assert.equal(Buffer.compare(ours, nodes), 0, 'bytes on disk');
  }

  for (const flags of ['w+', 'a+'] as const) {
    it(`agree on any calls, '${flags}'`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 40 }), async (calls) => {
          const path = folder.newPath();
          const twins = await openTwins(path, flags);
          try {
            for (const each of calls) await each(twins);
          } finally {
            await closeTwins(twins);
          }
          await compareFiles(path);
        }),
        { numRuns: 150 },
      );
    });
  }

  it('agree with several handles, opened again and again', async () => {
    const flags = fc.constantFrom<FileFlags>('r+', 'w+', 'a+');
    const step = fc.tuple(fc.nat(3), fc.option(call, { freq: 5 }), flags);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const path = folder.newPath();
        await closeTwins(await openTwins(path, 'w'));
        const handles = new Map<number, Twins>();
        try {
          for (const [which, each, how] of steps) {
            const twins = handles.get(which);
            if (twins === undefined) handles.set(which, await openTwins(path, how));
            else if (each !== null) await each(twins);
            else {
              handles.delete(which);
              await closeTwins(twins);
            }
          }
        } finally {
          for (const twins of handles.values()) await closeTwins(twins);
        }
        await compareFiles(path);
      }),
      { numRuns: 150 },
    );
  });
});
