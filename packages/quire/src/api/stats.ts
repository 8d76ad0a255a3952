/** `stats()`: gauges read from the nodes, counters under their /proc/vmstat names, summed over nodes and threads. */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C, COUNTER_NAMES, type CounterName } from '../base/counters.ts';
import { ORDER_MAX, PAGE_BYTES } from '../base/units.ts';
import { buddyinfo, fragmentationIndex } from '../page-alloc/fragmentation.ts';
import type { Pressure } from '../reclaim/pressure.ts';
import { deviceErrors } from '../swap/device-errors.ts';
import { DEVICE_ON, deviceAt, deviceState, SEGMENT_BYTES } from '../swap/file-devices.ts';
import { fileBytesUsed } from '../swap/file-segments.ts';
import { bytesInPool, bytesOnDevice, devicesInUse, pagesInPool, tierName } from '../swap/tiers.ts';
import { pagesByGroup } from '../vm/region-table.ts';
import { liveThreads, sumCounter } from '../vm/thread-slot.ts';

export type QuireStats = QuireGauges & Record<CounterName, number>;

export interface QuireGauges {
  /** The budget as it was given, and what the nodes take of it (rounded down to whole WebAssembly pages), in bytes. */
  readonly budget_bytes: number;
  readonly node_bytes: number;
  /** Bytes not free: frames in use, tables, compressed objects. Never above `node_bytes`. */
  readonly used_bytes: number;
  readonly nr_free_pages: number;
  /** Resident pages of regions. */
  readonly nr_anon_pages: number;
  /** Pages on the LRU lists, which regions and files share. */
  readonly nr_active_anon: number;
  readonly nr_inactive_anon: number;
  /** Pages of files in memory; of these newer than the file, and being written to it. */
  readonly nr_file_pages: number;
  readonly nr_dirty: number;
  readonly nr_writeback: number;
  /** Dirty pages above which writers help to write back, and from which on the flusher does. */
  readonly nr_dirty_threshold: number;
  readonly nr_dirty_background_threshold: number;
  /** Frames of the compressed pool, its objects, and the compressed bytes in them. */
  readonly nr_zspages: number;
  readonly zs_objects: number;
  readonly compressed_bytes: number;
  /** Bytes those objects hold when decompressed. */
  readonly compressed_original_bytes: number;
  readonly raw_pages: number;
  readonly same_filled_pages: number;
  readonly clean_copies: number;
  /** Pages of regions that share what they hold with a page of a clone, beyond the first of each. */
  readonly nr_cloned_pages: number;
  /** Pages on their way out, still in their frames; and the most there ever were (a sum of the nodes' own). */
  readonly nr_inflight: number;
  readonly nr_inflight_peak: number;
  readonly swap_slots_used: number;
  readonly swap_clusters: number;
  readonly file_pages: number;
  readonly file_bytes: number;
  readonly file_bytes_max: number;
  /** The tiers in use, the compressed one first, then files by priority. */
  readonly tiers: readonly TierStats[];
  readonly table_pages: number;
  readonly threads: number;
  readonly nodes: number;
  /** Free blocks by order 0…9, all nodes. */
  readonly buddyinfo: number[];
  /**
   * Why a request of each order 0…9 would fail: 0 = for lack of memory … 1000 = for fragmentation; −1000: it would not, a
   * block is free (extfrag_index).
   */
  readonly fragmentationIndex: Readonly<Record<number, number>>;
  /** Pages held under each group name, in whatever tier. */
  readonly groups: Record<string, number>;
  /** Pressure stall information, as /proc/pressure/memory: how much time was lost to reclaim and to waiting for pages. */
  readonly pressure: Pressure;
}

export interface TierStats {
  readonly tier: 'compressed' | 'file';
  /** What `swapoff` knows it by. */
  readonly name: string;
  /** 'draining': `swapoff` is at work. 'off' is said of the compressed tier only: files that are off are not listed. */
  readonly state: 'on' | 'draining' | 'off';
  /** Of files, in the thread that opened the instance. */
  readonly path?: string;
  readonly priority?: number;
  /**
   * Bytes it may take, and has taken: frames of the pool, segments of a file. Of a compressed tier that is off: those of pages
   * that pass through it on their way to the files, 0 when there are none.
   */
  readonly size: number;
  readonly used: number;
  /** Bytes of these that belong to pages: compressed bytes of the pool, about as many of a file. */
  readonly live: number;
  /** Pages it holds. */
  readonly pages: number;
  /** Of files: requests that the system refused, and why the last write was ('ENOSPC', …); absent when that went well. */
  readonly readErrors?: number;
  readonly writeErrors?: number;
  readonly error?: string;
}

export function collectStats(
  nodes: readonly Node[],
  budgetBytes: number,
  pressure: Pressure,
  paths?: ReadonlyMap<string, string>,
): QuireStats {
  const sum = (at: number): number => nodes.reduce((total, node) => total + node.words[at], 0);
  const counters = Object.fromEntries(
    COUNTER_NAMES.map((name) => [name, nodes.reduce((total, node) => total + sumCounter(node, C[name]), 0)]),
  ) as Record<CounterName, number>;
  const nodeBytes = nodes.reduce((total, node) => total + node.bytes.length, 0);
  const free = sum(L.H_FREE_FRAMES);
  return {
    budget_bytes: budgetBytes,
    node_bytes: nodeBytes,
    used_bytes: nodeBytes - free * PAGE_BYTES,
    nr_free_pages: free,
    nr_anon_pages: sum(L.H_REGION_PAGES),
    nr_inactive_anon: sum(L.H_LRU_SIZES),
    nr_active_anon: sum(L.H_LRU_SIZES + 1),
    nr_file_pages: sum(L.H_PC_PAGES),
    nr_dirty: sum(L.H_PC_DIRTY),
    nr_writeback: sum(L.H_PC_WRITEBACK),
    nr_dirty_threshold: sum(L.H_DIRTY_LIMIT),
    nr_dirty_background_threshold: sum(L.H_DIRTY_BACKGROUND),
    nr_zspages: sum(L.H_ZS_FRAMES),
    zs_objects: sum(L.H_ZS_OBJECTS),
    compressed_bytes: nodes.reduce((total, node) => total + wide(node, L.H_ZS_BYTES), 0),
    compressed_original_bytes: sum(L.H_ZS_OBJECTS) * PAGE_BYTES,
    raw_pages: sum(L.H_RAW_FRAMES),
    same_filled_pages: sum(L.H_SAME_SLOTS),
    clean_copies: sum(L.H_CLEAN_COPIES),
    nr_cloned_pages: sum(L.H_SLOT_DUPS),
    nr_inflight: sum(L.H_INFLIGHT),
    nr_inflight_peak: sum(L.H_INFLIGHT_PEAK),
    swap_slots_used: sum(L.H_SLOTS_USED),
    swap_clusters: sum(L.H_CLUSTERS_USED),
    file_pages: sum(L.H_FILE_SLOTS),
    file_bytes: nodes.reduce((total, node) => total + fileBytesUsed(node), 0),
    file_bytes_max: sum(L.H_FILE_SEGMENTS) * 256 * 1024,
    tiers: [poolStats(nodes), ...fileStats(nodes, paths)],
    table_pages: sum(L.H_TABLE_FRAMES),
    threads: liveThreads(nodes[0]),
    nodes: nodes.length,
    buddyinfo: buddyinfo(nodes),
    fragmentationIndex: Object.fromEntries(
      Array.from({ length: ORDER_MAX + 1 }, (_, order) => [order, fragmentationIndex(nodes, order)]),
    ),
    groups: pagesByGroup(nodes),
    pressure,
    ...counters,
  };
}

function poolStats(nodes: readonly Node[]): TierStats {
  const sum = (of: (node: Node) => number): number => nodes.reduce((total, node) => total + of(node), 0);
  return {
    tier: 'compressed',
    name: 'compressed',
    state: POOL_STATES[Atomics.load(nodes[0].words, L.H_POOL_STATE)],
    size: sum(({ words }) => words[L.H_POOL_FRAMES_MAX]) * PAGE_BYTES,
    used: sum(({ words }) => words[L.H_ZS_FRAMES] + words[L.H_RAW_FRAMES]) * PAGE_BYTES,
    live: sum(bytesInPool),
    pages: sum(pagesInPool),
  };
}

const POOL_STATES = ['off', 'on', 'draining'] as const;

function fileStats(nodes: readonly Node[], paths: ReadonlyMap<string, string> | undefined): TierStats[] {
  const home = nodes[0].words;
  const tiers = devicesInUse(home).map((device): TierStats => {
    const at = deviceAt(device);
    const name = tierName(home, device);
    const path = paths?.get(name);
    const bytes = nodes.map((node) => bytesOnDevice(node, device));
    return {
      tier: 'file',
      name,
      state: deviceState(home, device) === DEVICE_ON ? 'on' : 'draining',
      ...(path === undefined ? {} : { path }),
      priority: home[at + L.V_PRIORITY],
      size: home[at + L.V_SEGMENTS] * nodes.length * SEGMENT_BYTES,
      used: bytes.reduce((total, { used }) => total + used, 0),
      live: bytes.reduce((total, { live }) => total + live, 0),
      pages: nodes.reduce((total, { words }) => total + words[at + L.V_LIVE], 0),
      ...deviceErrors(home, device),
    };
  });
  return tiers.sort((a, b) => (b.priority ?? 0) - (a.priority ?? 0));
}

function wide(node: Node, at: number): number {
  return node.words[at + 1] * 2 ** 32 + (node.words[at] >>> 0);
}
