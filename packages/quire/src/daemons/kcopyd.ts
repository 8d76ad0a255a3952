/**
 * kcopyd: what a compressor does with time to spare. While memory fills up it makes clean copies of idle pages
 * (swap/copy-ahead.ts), so that reclaim finds them free. Runs where kswapd and kcompressd have nothing to do, and only in
 * workers: inline it would take the program's own time.
 */
import type { Node } from '../arena/node.ts';
import { CopyAhead } from '../swap/copy-ahead.ts';
import type { Daemon } from './daemon.ts';

export class Kcopyd implements Daemon {
  readonly name = 'kcopyd';
  private readonly ahead: CopyAhead;

  constructor(node: Node) {
    this.ahead = new CopyAhead(node);
  }

  step(): boolean {
    return this.ahead.round();
  }
}
