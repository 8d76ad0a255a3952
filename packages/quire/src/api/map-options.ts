/** Options of `Quire.map` and `Quire.byteMap`, checked. */
import { invalidArg } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { parseBytes } from '../base/units.ts';
import type { PageMapOptions } from '../map/page-map-options.ts';
import type { MapKey, QuireMapOptions } from '../map/quire-map.ts';
import { checkGroupName, checkName } from './arguments.ts';
import type { MapPlace } from './map-opener.ts';

export interface MapOptions<K extends MapKey, V> extends Omit<QuireMapOptions<K, V>, 'maxBytes'> {
  /** Bytes or '4GiB'. */
  readonly maxBytes?: number | string;
  /** Group that the map's memory is charged to, as of a region. */
  readonly group?: string;
}

/** `name` and `group` as of a map; the rest is for layers that bring their own encoding. */
export interface ByteMapOptions extends PageMapOptions {
  readonly name?: string;
  readonly group?: string;
}

const MAP_OPTIONS: OptionNames<MapOptions<MapKey, unknown>> = {
  name: true,
  group: true,
  value: true,
  ttlMs: true,
  maxBytes: true,
  dispose: true,
  prefetch: true,
  now: true,
};

const BYTE_MAP_OPTIONS: OptionNames<ByteMapOptions> = {
  name: true,
  group: true,
  threadId: true,
  maxBytes: true,
  countsUses: true,
  dispose: true,
  now: true,
  random: true,
  seed: true,
  lockWaitMsMax: true,
  checkAlive: true,
  isThreadDead: true,
};

/** Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE. The rest is checked by the map itself. */
export function resolveMapOptions<K extends MapKey, V>(options: unknown): QuireMapOptions<K, V> & MapPlace {
  const { maxBytes, name, group, ...rest } = checkOptions<MapOptions<K, V>>('options', options, MAP_OPTIONS);
  const checked = { ...rest, name: checkName('name', name ?? ''), group: checkGroupName(group) };
  if (maxBytes === undefined) return checked;
  const bytes = parseBytes(maxBytes);
  if (bytes === undefined) throw invalidArg('maxBytes', "a number of bytes, or text like '4GiB'", maxBytes);
  return { ...checked, maxBytes: bytes };
}

/** As above. */
export function resolveByteMapOptions(options: unknown): PageMapOptions & MapPlace {
  const { name, group, ...rest } = checkOptions<ByteMapOptions>('options', options, BYTE_MAP_OPTIONS);
  return { ...rest, name: checkName('name', name ?? ''), group: checkGroupName(group) };
}
