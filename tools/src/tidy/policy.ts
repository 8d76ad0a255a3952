/** Every list and limit of the tidy check, in one place. */

/** The layers of packages/quire/src, lowest first: a folder may import from itself and from the folders before it. */
export const LAYERS = [
  'base',
  'codec',
  'arena',
  'page-alloc',
  'page-table',
  'reclaim',
  'swap',
  'compaction',
  'vm',
  'page-cache',
  'daemons',
  'map',
  'api',
] as const;

/** Folders of packages/quire/src that drive the whole package (simulator, stress, contract suites): nothing in a layer imports them. */
export const DRIVERS: readonly string[] = ['simulator', 'stress', 'contract', 'fsx', 'crash'];

/** Packages, lowest first: a package may import the ones before it. `tools` stands apart: it imports none and none imports it. */
export const PACKAGES = ['quire', '@quire/server', '@quire/lab'] as const;

/** The layers that reach the world only through a port: no node: module, no clock, no timer, no process. */
export const CORE_LAYERS: readonly string[] = LAYERS.filter((layer) => layer !== 'api');

/** The files of the core that are the port's other side, or ask for the processor, and may use Node. */
export const CORE_EXCEPTIONS: readonly string[] = [
  'packages/quire/src/arena/fence.ts',
  'packages/quire/src/codec/wasm-kernel.ts',
  'packages/quire/src/daemons/file-device.ts',
  'packages/quire/src/daemons/flusher-timer.ts',
  'packages/quire/src/daemons/node-file-io.ts',
  'packages/quire/src/daemons/node-tasks.ts',
  'packages/quire/src/daemons/node-zstd.ts',
  'packages/quire/src/daemons/worker-main.ts',
  'packages/quire/src/daemons/worker-pool.ts',
  'packages/quire/src/map/map-world.ts',
];

/** Globals that are a clock, a timer, a source of chance or the process. */
export const WORLD_GLOBALS: readonly string[] = [
  'Buffer',
  'Date',
  'console',
  'fetch',
  'performance',
  'process',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
];

export const FILE_LINES_MAX = 500;
export const FUNCTION_LINES_MAX = 70;
