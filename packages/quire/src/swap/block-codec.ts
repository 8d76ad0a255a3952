/**
 * Blocks: pages and units in compressed form, by LZ4 or zstd. New ones are made with the pool's codec (H_POOL_ZSTD); each
 * says which it is, by a bit beside its length, so that both may lie in one pool and one file.
 *
 * LZ4 decodes from the front as far as is wanted; zstd decodes whole blocks.
 */
import { AREA_LZ4_TABLE, H_FILE_ZSTD, H_POOL_ZSTD } from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';

/**
 * zstd levels of the pool and of the file tier, 0 for LZ4. The pool's is set before any thread but the owner's runs: a block
 * is marked when it is stored, by what the codec is then. The file tier's may change at any time.
 */
export function setCodecs(nodes: readonly Node[], poolLevel: number, fileLevel: number): void {
  for (const { words } of nodes) {
    words[H_POOL_ZSTD] = poolLevel;
    words[H_FILE_ZSTD] = fileLevel;
  }
}

/** Are new blocks of the pool made by zstd? */
export function isPoolZstd(node: Node): boolean {
  return node.words[H_POOL_ZSTD] !== 0;
}

/** Compresses with the pool's codec, between kernel addresses. Returns the length, 0 when it does not fit `capacity`. */
export function compressBlock(node: Node, source: number, length: number, target: number, capacity: number): number {
  const level = node.words[H_POOL_ZSTD];
  if (level !== 0) return zstdBlock(node, source, length, target, capacity, level);
  return node.kernel.compress(source, length, target, capacity, (node.areaByte + AREA_LZ4_TABLE) | 0);
}

/** Compresses with zstd. As `compressBlock`. */
export function zstdBlock(
  node: Node,
  source: number,
  length: number,
  target: number,
  capacity: number,
  level: number,
): number {
  return node.kernel.zstd?.compress(source, length, target, capacity, level) ?? 0;
}

/**
 * Decodes at least `wanted` bytes of a block of `capacity` to `target`, which has room for all. Returns how many, −1 when
 * the block is malformed, which that of an optimistic reader may always be.
 */
export function decodeBlock(
  node: Node,
  source: number,
  length: number,
  isZstd: boolean,
  target: number,
  wanted: number,
  capacity: number,
): number {
  if (isZstd) return node.kernel.zstd?.decompress(source, length, target, capacity) ?? -1;
  return node.kernel.decompressPartial(source, length, target, wanted, capacity);
}
