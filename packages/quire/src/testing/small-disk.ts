/** A disk that is soon full: a file system in memory. Mounting one takes root; where that is refused, the test says so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Its folder, taken down after the test; undefined, with the reason said, where that is not allowed. */
export function mountSmall(context: TestContext, bytes: number): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'quire-full-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'quire-full', directory], {
    encoding: 'utf8',
  });
  if (mounted.status !== 0) {
    rmdirSync(directory);
    const reason = mounted.error?.message ?? mounted.stderr.trim();
    context.diagnostic(`no real full disk here, mount says: ${reason}`);
    return undefined;
  }
  context.after(() => {
    const done = spawnSync('umount', [directory], { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr);
    rmdirSync(directory);
  });
  return directory;
}
