/** `region.clone()`: options checked, and the clone's public face. */
import { invalidArg } from '../base/errors.ts';
import { cloneRegion } from '../vm/clone.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { checkGroupName, checkName } from './arguments.ts';
import { type CloneOptions, Region, type RegionOwner } from './region.ts';

/** `keep` is told of the clone. Throws as `Region.clone` says. */
export function makeClone(
  owner: RegionOwner,
  source: Region,
  options: CloneOptions,
  keep: (clone: Region) => void,
): Region {
  const { memory } = owner;
  const name = checkName('name', options.name ?? '');
  const group = checkGroupName(options.group ?? source.group);
  const region = cloneRegion(memory, source.id, name === '' ? '' : `region:${name}`, group);
  if (region < 0) throw invalidArg('name', 'one that no open region has', name);
  const clone = new Region(owner, new RegionSpace(memory, region, source.size), name, source.size, group);
  keep(clone);
  return clone;
}
