import { PageMap } from '../page-map.ts';
import { type MapKey, QuireMap, type QuireMapOptions } from '../quire-map.ts';
import { createPlainMap, type PlainMap } from './plain-map.ts';

/** A QuireMap over plain page spaces. `frameCount` frames of 4 KiB. */
export function createPlainQuireMap<K extends MapKey = MapKey, V = unknown>(
  frameCount: number,
  options: QuireMapOptions<K, V> = {},
): { map: QuireMap<K, V>; plain: PlainMap } {
  let plain: PlainMap | undefined;
  const map = QuireMap.open<K, V>((pageOptions) => {
    plain = createPlainMap(frameCount, pageOptions);
    return plain.map;
  }, options);
  if (plain === undefined || !(plain.map instanceof PageMap)) throw new Error('open was not called');
  return { map, plain };
}
