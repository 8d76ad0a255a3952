/**
 * The lab's one door to Quire. The shapes below are what the lab uses of the public API; the package itself is imported
 * when a child starts, so that a lab without a built Quire still measures its other columns.
 */
import { ColumnAbsent } from './benchmark.ts';

export const QUIRE = 'quire';

export interface QuireRegion {
  read(offset: number, target: Uint8Array): unknown;
  write(offset: number, bytes: Uint8Array): unknown;
  discard(offset: number, length: number): unknown;
  close(): unknown;
}

export interface QuireBytesMap {
  get(key: string): Uint8Array | undefined;
  set(key: string, value: Uint8Array): unknown;
}

/** The forms of Node's FileHandle and fs that the lab calls. */
export interface QuireFile {
  readSync(buffer: Uint8Array, offset: number, length: number, position: number | null): number;
  writeSync(buffer: Uint8Array, offset: number, length: number, position: number | null): number;
  writevSync(buffers: readonly Uint8Array[], position?: number | null): number;
  sync(): Promise<void>;
  datasync(): Promise<void>;
  truncate(length?: number): Promise<void>;
  close(): Promise<void>;
}

/** The write paths of S1 that a run can choose from. */
export const COMPACTION_POLICIES = ['direct', 'caller', 'split', 'light', 'background', 'stocked'] as const;
export type CompactionPolicy = (typeof COMPACTION_POLICIES)[number];

export type RegionAccess = 'sequential' | 'random' | 'auto';

export interface QuireInstance {
  /** What another thread attaches with; it can be posted. */
  readonly handle: unknown;
  region(options: { size: number; name: string; access?: RegionAccess }): QuireRegion;
  map(options: { name: string; value: 'bytes' }): QuireBytesMap;
  /** Absent in a build of the package without files. */
  openFile?(path: string, flags?: string): Promise<QuireFile>;
  ioBuffer(bytes: number): Uint8Array;
  stats(): Readonly<Record<string, unknown>>;
  swapoff(tier: string): Promise<{ readonly pages: number; readonly pagesLost: number }>;
  close(): Promise<void>;
}

export interface QuireOpenOptions {
  /** Bytes. */
  readonly budget: number;
  readonly swap?: readonly Readonly<Record<string, unknown>>[];
  readonly threads?: number | 'auto';
  readonly compaction?: CompactionPolicy;
  /** False: without the layer of slots, to compare with. */
  readonly virtual?: boolean;
}

interface QuireClass {
  open(options: QuireOpenOptions): Promise<QuireInstance>;
  attach(handle: unknown): QuireInstance;
}

/** Throws ColumnAbsent when the package cannot be imported or has no Quire; errors of `open` itself pass through. */
export async function openQuire(options: QuireOpenOptions): Promise<QuireInstance> {
  return (await importQuire()).open(options);
}

/** Joins, from another thread, the instance that `handle` is of. */
export async function attachQuire(handle: unknown): Promise<QuireInstance> {
  return (await importQuire()).attach(handle);
}

async function importQuire(): Promise<QuireClass> {
  let exported: { Quire?: QuireClass };
  try {
    exported = (await import('quire')) as unknown as typeof exported;
  } catch (error) {
    throw new ColumnAbsent(QUIRE, `the package quire cannot be imported: ${messageOf(error)}`);
  }
  if (exported.Quire === undefined) throw new ColumnAbsent(QUIRE, 'this build of the package quire exports no Quire');
  return exported.Quire;
}

/** Opens a file through Quire's page cache. Throws ColumnAbsent when the build has no files. */
export async function openQuireFile(quire: QuireInstance, path: string, flags: string): Promise<QuireFile> {
  if (quire.openFile === undefined) throw new ColumnAbsent(QUIRE, 'this build of the package quire has no files');
  return quire.openFile(path, flags);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
