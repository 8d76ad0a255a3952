/**
 * The expensive checks: every structure of every node, and every byte of every region and map entry against the
 * models.
 */
import { QuireError } from '../base/errors.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { checkGroups } from '../vm/group-check.ts';
import { checkNode } from '../vm/instance-check.ts';
import { checkReferences } from '../vm/reference-check.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { chunksFor, closeRegion, openRegion } from '../vm/region-table.ts';
import { isPageSpoilt, type LogicalThread } from './logical-thread.ts';
import type { MapModel } from './map-model.ts';
import type { MapWorker } from './map-worker.ts';
import type { RegionPlan, World } from './world.ts';

/** Structures, and that each slot in use is counted as often as pages name it. */
export function checkStructures(world: World, thread: LogicalThread): void {
  checkGroups(thread.nodes);
  for (const node of thread.nodes) checkNode(node);
  checkReferences(thread.nodes);
  world.checkCounts();
}

/** Settles what failed or raced, then, when `isFull`, compares every page that was ever written. */
export function checkRegions(world: World, thread: LogicalThread, isFull: boolean): void {
  for (const plan of world.plans) {
    if (plan.model.refs === 0) continue;
    const { region } = openRegion(thread.memory, `region:${plan.name}`, chunksFor(plan.size), plan.group);
    const space = new RegionSpace(thread.memory, region, plan.size);
    plan.model.settle((offset) => readPage(world, thread, space, plan, offset));
    if (isFull) {
      for (const number of [...plan.model.pageNumbers]) {
        const window = plan.model.beginRead(number * PAGE_BYTES, PAGE_BYTES);
        const bytes = readPage(world, thread, space, plan, number * PAGE_BYTES);
        if (bytes === undefined) plan.model.dropRead(window);
        else plan.model.endRead(window, bytes);
      }
    }
    closeRegion(thread.memory, region);
  }
}

function readPage(
  world: World,
  thread: LogicalThread,
  space: RegionSpace,
  plan: RegionPlan,
  offset: number,
): Uint8Array | undefined {
  const bytes = new Uint8Array(PAGE_BYTES);
  try {
    space.read(offset, bytes, 0, PAGE_BYTES);
    return bytes;
  } catch (error) {
    const isLoss = error instanceof QuireError && (error.code === 'ERR_QUIRE_IO' || error.code === 'ERR_QUIRE_CORRUPT');
    if (isLoss && world.device !== undefined && isPageSpoilt(space, thread.memory, world.device, offset))
      return undefined;
    throw new Error(`${plan.name}: page at ${offset} cannot be read, though nothing spoilt it`, { cause: error });
  }
}

/** Every entry of the map; a map that lost a page may miss some. */
export function checkMap(world: World, worker: MapWorker, model: MapModel): void {
  for (const key of [...model.keys()]) {
    const read = model.beginRead(key, world.nowMs);
    try {
      const value = worker.map.get(new TextEncoder().encode(key));
      model.endRead(read, value, world.nowMs);
    } catch (error) {
      model.dropRead(read);
      if (!(error instanceof QuireError) || !isLoss(error) || world.device === undefined || world.device.injected === 0)
        throw error;
      model.isDamaged = true;
    }
  }
  if (model.hasDoubts() || (world.device?.injected ?? 0) > 0) return;
  const fault = worker.map.findFault();
  if (fault !== undefined) throw new Error(`map: ${fault}`);
}

function isLoss(error: QuireError): boolean {
  return error.code === 'ERR_QUIRE_IO' || error.code === 'ERR_QUIRE_CORRUPT';
}
