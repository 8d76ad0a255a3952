/** A folder of files for one test file: fresh paths, and which of them this process has open. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class FileFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'quire-test-'));
  private made = 0;

  /** A path that nobody has used yet; with `content`, of a file that holds it. */
  newPath(content?: string | Uint8Array): string {
    const path = join(this.path, `file-${this.made++}`);
    if (content !== undefined) writeFileSync(path, content);
    return path;
  }

  /** Descriptors of this process on files of the folder. */
  descriptors(): number {
    return readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(this.path);
      } catch {
        return false; // that of the listing itself is gone by now
      }
    }).length;
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}
