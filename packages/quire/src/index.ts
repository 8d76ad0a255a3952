export type { OpenFileOptions } from './api/file-descriptor.ts';
export type { FileFlags } from './api/file-flags.ts';
export type { FileOptions } from './api/file-options.ts';
export type { ReadOptions, SpanOptions } from './api/file-span.ts';
export type { Group, GroupOptions, GroupStats } from './api/group.ts';
export type { ByteMapOptions, MapOptions } from './api/map-options.ts';
export {
  allowedBytes,
  type CompressedTierOptions,
  type FileTierOptions,
  type QuireOptions,
  type TierOptions,
} from './api/options.ts';
export type { PressureEvent, PressureTrigger, QuireEvents } from './api/pressure-watch.ts';
export { Quire, type QuireHandle, type RegionOptions } from './api/quire.ts';
export { type FilePin, type LineOptions, QuireFile } from './api/quire-file.ts';
export { type CloneOptions, Region, type RegionPin } from './api/region.ts';
export type { QuireStats, TierStats } from './api/stats.ts';
export type { SwapoffOptions, SwapoffProgress } from './api/swap-tiers.ts';
export { QuireError, type QuireErrorCode } from './base/errors.ts';
export { formatBytes, parseBytes } from './base/units.ts';
export type { CompactionPolicy } from './compaction/policy.ts';
export { type ByteMap, KEEP_EXPIRY } from './map/byte-map.ts';
export type { PageMap } from './map/page-map.ts';
export type { PageMapOptions } from './map/page-map-options.ts';
export { type MapKey, QuireMap, type QuireMapOptions, type SetOptions } from './map/quire-map.ts';
export type { ReclaimPolicyName } from './reclaim/policy.ts';
export type { Pressure, PressureLine } from './reclaim/pressure.ts';
export type { Access } from './vm/access.ts';
