export {
  allowedBytes,
  type CompressedTierOptions,
  type FileTierOptions,
  type QuireOptions,
  type TierOptions,
} from './api/options.ts';
export { type MapOptions, Quire, type QuireHandle, type RegionOptions } from './api/quire.ts';
export { Region, type RegionPin } from './api/region.ts';
export type { QuireStats } from './api/stats.ts';
export { QuireError, type QuireErrorCode } from './base/errors.ts';
export { formatBytes, parseBytes } from './base/units.ts';
export { type ByteMap, KEEP_EXPIRY } from './map/byte-map.ts';
export type { PageMap } from './map/page-map.ts';
export type { PageMapOptions } from './map/page-map-options.ts';
export { type MapKey, QuireMap, type QuireMapOptions, type SetOptions } from './map/quire-map.ts';
