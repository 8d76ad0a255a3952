export { QuireError, type QuireErrorCode } from './base/errors.ts';
export { formatBytes, parseBytes } from './base/units.ts';
export { type ByteMap, KEEP_EXPIRY } from './map/byte-map.ts';
export { type MapKey, QuireMap, type QuireMapOptions, type SetOptions } from './map/quire-map.ts';
export type { PageMap, PageMapOptions } from './map/page-map.ts';
export { type MapOptions, Quire, type QuireHandle, type RegionOptions } from './api/quire.ts';
export { allowedBytes, type CompressedTierOptions, type FileTierOptions, type QuireOptions, type TierOptions } from './api/options.ts';
export type { QuireStats } from './api/stats.ts';
export { Region, type RegionPin } from './api/region.ts';
