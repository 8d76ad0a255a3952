/** Reclaim, compaction and the flusher as steps that any thread may take, in place of the daemons' own threads. */
import * as L from '../arena/layout.ts';
import { NO_PFN } from '../base/units.ts';
import { freeFolio } from '../compaction/alloc-folio.ts';
import { askKcompactdLocked, wakeKcompactd } from '../compaction/ask-kcompactd.ts';
import { COMPACT_ASYNC, COMPACT_FULL, COMPACT_LIGHT } from '../compaction/compactor.ts';
import { compactDirect } from '../compaction/direct-compact.ts';
import { Flusher } from '../daemons/flusher.ts';
import { Kcompactd } from '../daemons/kcompactd.ts';
import { Kswapd } from '../daemons/kswapd.ts';
import type { Random } from '../simulator/random.ts';
import type { FileThread, World } from './world.ts';

export class Daemons {
  private readonly flushers = new Map<FileThread, Flusher>();
  /** One a node. */
  private readonly compactors: Kcompactd[];
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
    for (const thread of world.threads) this.flushers.set(thread, new Flusher(thread.memory));
    this.compactors = world.kcompactd.nodes.map((node) => new Kcompactd(node));
  }

  reclaim(thread: FileThread, random: Random): void {
    const reclaimer = random.pick(thread.memory.reclaimers);
    if (random.chance(0.3)) new Kswapd(reclaimer).step();
    else for (let rounds = random.between(1, 4); rounds > 0; rounds--) reclaimer.round(false, true);
  }

  /** A block is made at once and given back, or kcompactd takes some steps towards one. */
  compact(thread: FileThread, random: Random): void {
    const node = random.pick(thread.logical.nodes);
    const order = random.between(1, 9);
    if (random.chance(0.4)) {
      const block = compactDirect(node, order, random.pick([COMPACT_ASYNC, COMPACT_FULL, COMPACT_LIGHT]));
      if (block !== NO_PFN) freeFolio(node, block);
      return;
    }
    if (random.chance(0.5)) {
      node.lock();
      const isAsked = askKcompactdLocked(node, order);
      node.unlock();
      if (isAsked) wakeKcompactd(node);
    }
    const { kcompactd } = this.world;
    if (kcompactd.isBusy) return;
    kcompactd.isBusy = true;
    const compactor = this.compactors[node.words[L.H_NODE]];
    try {
      for (let steps = random.between(1, 30); steps > 0 && compactor.step(); steps--);
    } finally {
      kcompactd.isBusy = false;
    }
  }

  /** What kcompactd had taken is given back, and its thread ends. */
  stop(): void {
    for (const compactor of this.compactors) compactor.stop();
    this.world.kcompactd.leave();
  }

  flush(thread: FileThread, random: Random): void {
    for (let steps = random.between(1, 6); steps > 0 && this.flushers.get(thread)?.step() === true; steps--);
  }
}
