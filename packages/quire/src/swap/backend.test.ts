/** backendOf and sameBackendRun against a walk slot by slot, with every kind of backend behind the slots. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLUSTER_SLOTS } from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { demoteAll, evict, type Loaded, pageOf } from '../testing/file-tier-scene.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { backendDevice, backendOf, isFileBackend, sameBackendRun } from './backend.ts';
import { Demoter } from './demoter.ts';
import { addDevice, deviceOf } from './file-devices.ts';
import { payloadOf, SLOT_FILE, SLOT_FREE, SLOT_OBJECT, SLOT_RAW, SLOT_SAME, tagOf } from './slot-word.ts';
import { peekSlot } from './swap-table.ts';

const SLOTS = 3 * CLUSTER_SLOTS;

/** Pages on two devices of one priority, in the pool, raw and same-filled. */
function mixed(): Loaded {
  const instance = createTestInstance({ bytes: 12 * MIB, fileBytes: 8 * MIB });
  addDevice(instance.nodes, -1, 8 * MIB, 0);
  const space = instance.space(64 * MIB);
  const loaded = { instance, space, demoter: new Demoter(instance.node, instance.device) };
  const write = (from: number, to: number): void => {
    for (let page = from; page < to; page++) {
      if (page % 50 < 10) space.fill(page * PAGE_BYTES, page % 50 < 5 ? 0 : 9, PAGE_BYTES);
      else space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
    }
    evict(instance);
  };
  write(0, 700);
  demoteAll(loaded);
  write(700, 1200);
  return loaded;
}

describe('the backend of a slot', () => {
  it('is its tag and, on a file, the device', () => {
    const { instance } = mixed();
    const seen = new Set<number>();
    for (let slot = 0; slot < SLOTS; slot++) {
      const word = peekSlot(instance.node, slot);
      const backend = backendOf(instance.node, slot);
      seen.add(backend);
      assert.equal(isFileBackend(backend), tagOf(word) === SLOT_FILE);
      if (tagOf(word) === SLOT_FILE) assert.equal(backendDevice(backend), deviceOf(instance.node, payloadOf(word)));
      else assert.equal(backend, tagOf(word));
    }
    const wanted = [SLOT_FREE, SLOT_SAME, SLOT_OBJECT, SLOT_RAW, SLOT_FILE, SLOT_FILE | (1 << 3)];
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      wanted.sort((a, b) => a - b),
    );
    instance.finish();
  });

  it('runs end where the backend changes, nobody owns the slot, or enough was asked for', () => {
    const { instance } = mixed();
    const { node } = instance;
    for (let slot = 0; slot < SLOTS; slot++) {
      const backend = backendOf(node, slot);
      let run = 0;
      while (backend !== SLOT_FREE && run < 600 && backendOf(node, slot + run) === backend) run++;
      for (const count of [1, 7, 600]) {
        assert.equal(sameBackendRun(node, slot, count), Math.min(run, count), `slot ${slot}, ${count}`);
      }
    }
    assert.equal(sameBackendRun(node, 2 ** 28 - 1, 8), 0, 'a slot without a table');
    instance.finish();
  });
});
