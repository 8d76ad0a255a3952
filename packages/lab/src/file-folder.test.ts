import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { deviceOf, fileSystemOf, makeFileFolder } from './file-folder.ts';

describe('makeFileFolder', () => {
  it('makes an empty folder of its own and says where it lies', () => {
    for (const wanted of ['ext4', 'tmpfs', 'nothing like it']) {
      const first = makeFileFolder(wanted);
      const second = makeFileFolder(wanted);
      assert.notEqual(first.path, second.path);
      assert.deepEqual(readdirSync(first.path), []);
      assert.equal(first.fileSystem, fileSystemOf(first.path));
      writeFileSync(join(first.path, 'file'), 'x');
      first.remove();
      assert.equal(existsSync(first.path), false);
      assert.equal(existsSync(second.path), true);
      second.remove();
      second.remove();
      assert.equal(existsSync(second.path), false);
    }
  });
});

describe('deviceOf', () => {
  it('is a name for every folder', () => {
    assert.notEqual(deviceOf(process.cwd()), '');
  });
});
