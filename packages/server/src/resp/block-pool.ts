/**
 * Output blocks: buffers of one size that replies are written into. A block whose bytes the kernel took at once is used again for the
 * next batch; one that waits in a socket's queue comes back when the socket says it was written.
 */
/** A batch of 32 replies of 1 KiB fits, and one `write` of it is cheap for libuv. */
export const BLOCK_BYTES = 64 * 1024;
/** Blocks kept for later; more than that many clients waiting at once is rare. */
const SPARE_MAX = 16;

export class BlockPool {
  private readonly spares: Buffer[] = [];

  take(): Buffer {
    return this.spares.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  give(block: Buffer): void {
    if (block.length === BLOCK_BYTES && this.spares.length < SPARE_MAX) this.spares.push(block);
  }
}
