/**
 * What ARM64 does otherwise (arena/fence.ts), on any machine: processes and their threads that believe they are one. The
 * branches and instructions are those of ARM64; the order of memory accesses is this machine's.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const BELIEVE = "data:text/javascript,Object.defineProperty(process,'arch',{value:'arm64'})";
const TIMEOUT_MS = 120_000;

function pathOf(file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url));
}

function runOnArm64(args: readonly string[]): { readonly status: number | null; readonly text: string } {
  const env = { ...process.env };
  // Else what runs there tells this process's runner instead of its output.
  delete env['NODE_TEST_CONTEXT'];
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', BELIEVE, ...args], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    env,
  });
  return { status, text: `${stdout}${stderr}` };
}

const FENCES = `
  import assert from 'node:assert/strict';
  import { isMainThread, Worker } from 'node:worker_threads';
  const fence = await import(${JSON.stringify(new URL('../arena/fence.js', import.meta.url).href)});
  assert.equal(process.arch, 'arm64');
  assert.equal(fence.LOADS_STAY_IN_ORDER, false);
  const words = new Int32Array(new SharedArrayBuffer(16)).fill(5);
  const done = [];
  for (const name of ['load', 'add', 'or']) {
    const plain = Atomics[name];
    Atomics[name] = (...values) => (done.push(name), plain(...values));
  }
  fence.announce(words, 1);
  assert.deepEqual([...words], [5, 6, 5, 5]);
  assert.equal(fence.closingLoad(words, 1), 6);
  assert.deepEqual(done, ['add', 'or', 'or']);
  console.log(isMainThread ? 'main' : 'worker');
`;

describe('as on ARM64', () => {
  it('a read is closed, and an end announced, by read-modify-writes, in workers too', () => {
    const source = `data:text/javascript,${encodeURIComponent(FENCES)}`;
    const main = runOnArm64(['--input-type=module', '--eval', FENCES]);
    assert.deepEqual([main.status, main.text], [0, 'main\n']);
    const both = runOnArm64([
      '--input-type=module',
      '--eval',
      `import { Worker } from 'node:worker_threads'; new Worker(new URL(${JSON.stringify(source)}));`,
    ]);
    assert.deepEqual([both.status, both.text], [0, 'worker\n']);
  });

  for (const file of [
    'vm/page-read.test.js',
    'vm/page-read-order.test.js',
    'vm/swap-paths.test.js',
    'vm/direct-mode.test.js',
    'page-cache/inode.test.js',
    'page-cache/file-space.threads.test.js',
    'map/page-map.threads.test.js',
  ]) {
    it(`${file} passes`, () => {
      const { status, text } = runOnArm64(['--test-reporter=tap', pathOf(file)]);
      assert.equal(status, 0, text);
      assert.match(text, /^# fail 0$/m);
      assert.match(text, /^# pass [1-9]/m);
    });
  }

  it('the simulator finds no failure', () => {
    const { status, text } = runOnArm64([pathOf('simulator/main.js'), '--steps', '20000', '--seed', '64']);
    assert.equal(status, 0, text);
    assert.match(text, /no failure/);
  });
});
