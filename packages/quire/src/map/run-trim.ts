import { CLASS_HEAD, EMPTY_LISTED } from './control.ts';
import { PagePin } from './page-pin.ts';
import type { RecordHeap } from './record-heap.ts';
import { FREE, META_BYTES } from './run-meta.ts';
import { SINGLE_RUN_CLASS, SLAB_CLASSES, slotsOf } from './size-class.ts';
import { isSwapFull } from './swap-full.ts';

/**
 * Takes the empty runs out of the class lists and puts them on the stack of free runs. O(listed runs), and called
 * only when more than an eighth of all runs ever used would come back, so it is paid for by the runs it saves. Best
 * effort: a full swap ends it early, with every list intact. The caller holds the allocator lock.
 */
export function trimLocked(heap: RecordHeap): void {
  const before = new PagePin(heap.meta);
  const current = new PagePin(heap.meta);
  try {
    for (let classId = 0; classId < SLAB_CLASSES; classId++) trimClass(heap, classId, before, current);
  } catch (error) {
    if (!isSwapFull(error)) throw error;
  } finally {
    before.release();
    current.release();
  }
}

function trimClass(heap: RecordHeap, classId: number, before: PagePin, current: PagePin): void {
  const control = heap.control;
  let previous = 0;
  let run = control[CLASS_HEAD + classId];
  while (run !== 0) {
    current.hold(run * META_BYTES);
    const word = current.wordAt(run * META_BYTES);
    const words = current.view.words;
    const next = words[word + 2];
    if (words[word + 1] === slotsOf(classId)) {
      if (previous === 0) control[CLASS_HEAD + classId] = next;
      else {
        before.hold(previous * META_BYTES);
        before.view.words[before.wordAt(previous * META_BYTES) + 2] = next;
        before.release();
      }
      words[word] = FREE | (SINGLE_RUN_CLASS << 8);
      words[word + 2] = control[CLASS_HEAD + SINGLE_RUN_CLASS];
      control[CLASS_HEAD + SINGLE_RUN_CLASS] = run;
      control[EMPTY_LISTED]--;
    } else {
      previous = run;
    }
    current.release();
    run = next;
  }
}
