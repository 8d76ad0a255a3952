/** The column of Node's fs in `lab s2`: a file of the host's page cache, made as libMicro's is, in chunks of 1 MiB. */
import { writeFileSync } from 'node:fs';
import { serveParent } from '../child.ts';
import { FILE_BYTES, orderOf } from './cases.ts';
import { NodeFile, NodeTimedFile } from './node-file.ts';
import { WriteTimer } from './timed-writes.ts';

export interface NodeChildArgs {
  readonly path: string;
  /** Length of the writes that bring the file into the page cache; they decide the size of its folios. */
  readonly chunkBytes: number;
}

await serveParent<NodeChildArgs>(({ path, chunkBytes }) => {
  writeFileSync(path, '');
  const file = new NodeFile(path, 'r+');
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = 0; at < FILE_BYTES; at += chunkBytes) file.writeSync(chunk, 0, chunkBytes, at);
  file.sync();
  file.close();
  const timer = new WriteTimer(new NodeTimedFile(path));
  return Promise.resolve({ run: async (line: string) => ({ ns: await timer.run(orderOf(line)) }) });
});
