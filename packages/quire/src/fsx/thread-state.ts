/**
 * What the page cache keeps per thread in module scope is private to a real thread. A simulated thread that gets in
 * the middle of another must not change it.
 */
import { allocatedOrder } from '../compaction/alloc-folio.ts';

export function withOwnState(run: () => void): void {
  const order = allocatedOrder.value;
  try {
    run();
  } finally {
    allocatedOrder.value = order;
  }
}
