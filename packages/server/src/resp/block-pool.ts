/**
 * Output blocks: buffers of one size that replies are written into. A block whose bytes the kernel took at once is used again for the
 * next batch; one that waits in a socket's queue comes back when the socket says it was written.
 */
/** A batch of 32 replies of 1 KiB fits, and one `write` of it is cheap for libuv. */
export const BLOCK_BYTES = 64 * 1024;
/** Blocks kept for later; more than that many clients waiting at once is rare. */
const SPARE_MAX = 16;
/** Blocks asked of `make`: batches of that many clients under way at once. */
const MADE_MAX = 8;

export class BlockPool {
  private readonly spares: Buffer[] = [];
  private readonly make: (bytes: number) => Uint8Array | undefined;
  private made = 0;

  /** `make`: memory that is better than an ordinary buffer; asked for the first few blocks, which are used most. */
  constructor(make: (bytes: number) => Uint8Array | undefined = () => undefined) {
    this.make = make;
  }

  take(): Buffer {
    return this.spares.pop() ?? this.fresh();
  }

  private fresh(): Buffer {
    const made = this.made++ < MADE_MAX ? this.make(BLOCK_BYTES) : undefined;
    return made === undefined ? Buffer.allocUnsafeSlow(BLOCK_BYTES) : bufferOver(made);
  }

  give(block: Buffer): void {
    if (block.length === BLOCK_BYTES && this.spares.length < SPARE_MAX) this.spares.push(block);
  }
}

/** The same bytes as a Buffer. */
export function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
