/**
 * The exports of kernel.wasm; `src/codec/kernel.ts` is their contract. Nothing here keeps state, uses a heap or has
 * data segments: every function works on the addresses it is given, in the shared memory that is imported.
 */
export { compress } from './lz4-compress';
export { decompress, decompressPartial } from './lz4-decompress';
export { readPage, readParts } from './read-page';
export { copyParts } from './file-parts';
export { isSameFilled } from './same-filled';
export { copy } from './copy';
export { fill } from './fill';
export { crc32c, crc32cInit } from './crc32c';
export { equal } from './equal';
export { hash32 } from './hash';
