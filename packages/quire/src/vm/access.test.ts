/** What a region's hint does, and what 'auto' learns. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { evict } from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { ACCESS_HINTS, accessOf, isReadInSequence, noteRead, setAccess } from './access.ts';

describe('access', () => {
  it('is kept for all threads, and forgotten with the region', () => {
    const instance = createTestInstance({ nodes: 2 });
    const { region } = instance.space(MIB, 'a', 'sequential');
    const other = instance.join();
    for (const node of other.nodes) assert.equal(accessOf(node, region), 'sequential');
    for (const access of ACCESS_HINTS) {
      setAccess(other.nodes[1], region, access);
      assert.equal(accessOf(instance.node, region), access);
      assert.equal(isReadInSequence(instance.nodes[1], region), access === 'sequential');
    }
    instance.finish();
    assert.equal(isReadInSequence(instance.node, instance.space(MIB, 'b').region), false);
  });

  it('auto: a run makes it sequential, a few jumps take that back', () => {
    const instance = createTestInstance();
    const { node } = instance;
    const { region } = instance.space(MIB);
    let run = 0;
    while (!isReadInSequence(node, region)) {
      noteRead(node, region, 1);
      assert.ok(++run <= 64, 'learns within 256 KiB');
    }
    assert.ok(run >= 16, `not from ${run} pages`);
    for (let i = 0; i < 1000; i++) noteRead(node, region, i % 2);
    noteRead(node, region, 7);
    assert.ok(isReadInSequence(node, region), 'one jump is no change of habit');
    for (let i = 0; i < 8; i++) noteRead(node, region, -100 * i - 1);
    assert.ok(!isReadInSequence(node, region));
    assert.equal(accessOf(node, region), 'auto');
  });

  it('a hint is not unlearned', () => {
    const instance = createTestInstance();
    const { node } = instance;
    for (const access of ['sequential', 'random'] as const) {
      const { region } = instance.space(MIB, '', access);
      for (let i = 0; i < 200; i++) noteRead(node, region, access === 'random' ? 1 : 50);
      assert.equal(accessOf(node, region), access);
      assert.equal(isReadInSequence(node, region), access === 'sequential');
    }
  });

  it('auto: reading a swapped region through makes its next fill go out in units', () => {
    const instance = createTestInstance();
    const space = instance.space(16 * MIB);
    const { node } = instance;
    const fill = (first: number): void => {
      for (let page = first; page < first + 200; page++)
        space.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
      evict(instance);
    };
    fill(0);
    const alone = node.words[L.H_ZS_FRAMES];
    node.words[L.H_AGE] += node.frames;
    const got = new Uint8Array(PAGE_BYTES);
    for (let page = 0; page < 200; page++) space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
    assert.ok(isReadInSequence(node, space.region));
    fill(400);
    assert.ok(node.words[L.H_ZS_FRAMES] - alone < alone * 0.95, `${node.words[L.H_ZS_FRAMES]} after ${alone}`);
    instance.finish();
  });
});
