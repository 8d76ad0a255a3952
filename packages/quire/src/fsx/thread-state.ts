/**
 * What the page cache keeps per thread in module scope is private to a real thread. A simulated thread that gets in
 * the middle of another must not change it.
 */
import { takenOrder } from '../page-cache/folio-alloc.ts';

export function withOwnState(run: () => void): void {
  const order = takenOrder.value;
  try {
    run();
  } finally {
    takenOrder.value = order;
  }
}
