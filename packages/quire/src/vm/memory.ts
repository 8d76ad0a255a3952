/**
 * What one thread needs to work on the nodes: their views, a reclaimer each, the device. Made by `attach`
 * (api/instance.ts) or by a test.
 */
import { H_SLOTS_MAX, H_STATE, STATE_FAILED, STATE_OPEN } from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { AssertionError } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import type { Device, FileIo } from '../base/port.ts';
import { freeDetached } from '../swap/detached-leaves.ts';
import { Reclaimer } from '../swap/reclaimer.ts';

export class Memory {
  readonly nodes: readonly Node[];
  readonly reclaimers: readonly Reclaimer[];
  readonly device: Device | undefined;
  /**
   * Gives inline daemons a turn; set where no daemon thread runs (daemons/runner.ts). Called by faults, with no lock
   * held.
   */
  inlineDaemons: (() => void) | undefined;

  /** Has the worker of this number ended? Set where somebody can tell (daemons/reaper.ts). */
  isWorkerDead: (worker: number) => boolean = () => false;

  /** Files behind the page cache; set before the first one is opened. */
  files: FileIo | undefined;

  constructor(nodes: readonly Node[], device: Device | undefined) {
    this.nodes = nodes;
    this.device = device;
    this.reclaimers = nodes.map((node) => new Reclaimer(node, device));
  }

  /** False while there is no tier: a full node is then out of memory, not out of swap. */
  get hasSwap(): boolean {
    return Atomics.load(this.nodes[0].words, H_SLOTS_MAX) > 0;
  }

  /**
   * Frees what discards and closes have left to kswapd (swap/detached-leaves.ts): for exact figures, and for tables that
   * reclaim knows nothing of. True when there was any. No lock held.
   */
  freeDetached(): boolean {
    try {
      return freeDetached(this.nodes);
    } catch (error) {
      throw this.latch(error);
    }
  }

  /**
   * What direct reclaim may do about dirty pages of files in node n: write a batch back, if that can be had without
   * waiting for a lock. True when it did.
   */
  set writeBack(write: ((n: number) => boolean) | undefined) {
    for (const [n, reclaimer] of this.reclaimers.entries()) {
      reclaimer.writeBack = write === undefined ? undefined : () => write(n);
    }
  }

  /** Whether another thread is at writing a file back that has dirty pages in node n: then reclaim waits for it. */
  set isOtherWriting(is: ((n: number) => boolean) | undefined) {
    for (const [n, reclaimer] of this.reclaimers.entries()) {
      reclaimer.isOtherWriting = is === undefined ? undefined : () => is(n);
    }
  }

  /**
   * Throws ERR_QUIRE_FAILED once an invariant broke anywhere in the instance, ERR_QUIRE_CLOSED once its owner closed
   * it.
   */
  checkAlive(): void {
    const state = Atomics.load(this.nodes[0].words, H_STATE);
    if (state !== STATE_OPEN) throw deadError(state);
  }

  /**
   * Latches FAILED in every node when `error` is a broken invariant or a trap of the kernels. Returns the error to
   * throw.
   */
  latch(error: unknown): unknown {
    if (error instanceof AssertionError || (error instanceof Error && error.name === 'RuntimeError')) {
      for (const node of this.nodes) Atomics.store(node.words, H_STATE, STATE_FAILED);
      // Nobody may wait for ever for a thread that gave up half way; who gets the lock now meets FAILED at its next
      // call.
      for (const node of this.nodes) if (node.isLockedByMe()) node.unlock();
      return new QuireError('ERR_QUIRE_FAILED', 'an invariant broke; the instance refuses further work', {
        cause: error,
      });
    }
    return error;
  }
}

function deadError(state: number): QuireError {
  if (state !== STATE_FAILED) return new QuireError('ERR_QUIRE_CLOSED', 'the instance is closed');
  return new QuireError('ERR_QUIRE_FAILED', 'the instance failed earlier and refuses further work');
}
