/** Everything that happened, as one number: two runs of a seed must give the same (FNV-1a over words). */
export class Trace {
  private hash = 0x811c_9dc5 | 0;

  add(value: number): void {
    this.hash = Math.imul(this.hash ^ value, 0x0100_0193);
    this.hash ^= this.hash >>> 15;
  }

  addText(text: string): void {
    for (let i = 0; i < text.length; i++) this.add(text.charCodeAt(i));
  }

  addBytes(bytes: Uint8Array): void {
    const step = Math.max(1, bytes.length >> 4);
    for (let i = 0; i < bytes.length; i += step) this.add(bytes[i]);
  }

  get value(): number {
    return this.hash >>> 0;
  }
}
