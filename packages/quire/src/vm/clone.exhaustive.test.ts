/**
 * One page, its region and a clone of it: every sequence of a few operations, from every state a page can be in. Contents
 * are compared after each sequence, and every structure checked.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent, isSwapped, slotFromPte } from '../arena/pte.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { DEFAULT_GROUP } from '../reclaim/group.ts';
import { lruBlockAt } from '../reclaim/lru.ts';
import { Compressor } from '../swap/compressor.ts';
import { CopyAhead } from '../swap/copy-ahead.ts';
import { Demoter } from '../swap/demoter.ts';
import * as W from '../swap/slot-word.ts';
import { createIsolateResult, isolateLocked } from '../swap/swap-out.ts';
import { peekSlot } from '../swap/swap-table.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import { cloneRegion } from './clone.ts';
import { faultRead } from './fault.ts';
import { RegionSpace } from './region-space.ts';

const REGION_BYTES = 2 * MIB;
const WRITTEN = [makePage(0, 'text'), makePage(1, 'noise'), makePage(2, 'text')];

/** One side: a region, and what its page must hold. */
interface Side {
  space: RegionSpace | undefined;
  content: Uint8Array;
}

class Scene {
  private readonly instance: TestInstance;
  private readonly source: Side;
  private readonly clone: Side = { space: undefined, content: WRITTEN[0] };
  private readonly compressor: Compressor;
  private readonly other: Compressor;
  private readonly ahead: CopyAhead;
  private readonly demoter: Demoter;
  private readonly isolated = new Int32Array(8);
  private queued = 0;
  private isClaimed = false;
  private turn = 0;
  readonly operations: Record<string, () => void>;

  constructor(instance: TestInstance, claimer: Node) {
    this.instance = instance;
    const { node, memory } = instance;
    this.source = { space: instance.space(REGION_BYTES, '', 'random'), content: new Uint8Array(PAGE_BYTES) };
    // A thread of its own: what it compressed lies in its own buffer until it is published.
    this.compressor = new Compressor(claimer, true);
    this.other = new Compressor(node, true);
    this.ahead = new CopyAhead(node);
    this.demoter = new Demoter(node, memory.device ?? assert.fail('no device'));
    this.operations = {
      clone: () => this.makeClone(),
      closeClone: () => this.closeClone(),
      writeSource: () => this.write(this.source),
      writeClone: () => this.write(this.clone),
      patchSource: () => this.patch(this.source),
      patchClone: () => this.patch(this.clone),
      discardSource: () => this.discard(this.source),
      discardClone: () => this.discard(this.clone),
      promote: () => this.promote(),
      isolate: () => this.isolate(),
      claim: () => this.claim(),
      publish: () => this.publish(),
      copyAhead: () => this.copyAhead(),
      demote: () => this.demote(),
    };
  }

  private makeClone(): void {
    if (this.clone.space !== undefined) return;
    const region = cloneRegion(this.instance.memory, this.source.space?.region ?? -1, '', 'default');
    this.clone.space = new RegionSpace(this.instance.memory, region, REGION_BYTES);
    this.clone.content = this.source.content;
  }

  private closeClone(): void {
    if (this.clone.space !== undefined) this.instance.closeSpace(this.clone.space);
    this.clone.space = undefined;
  }

  private write(side: Side): void {
    if (side.space === undefined) return;
    side.content = WRITTEN[this.turn++ % WRITTEN.length];
    side.space.write(0, side.content, 0, PAGE_BYTES);
  }

  private patch(side: Side): void {
    if (side.space === undefined) return;
    side.content = Uint8Array.from(side.content).fill(0x40 + this.turn, 100, 120);
    side.space.fill(100, 0x40 + this.turn++, 20);
  }

  private discard(side: Side): void {
    if (side.space === undefined) return;
    side.content = new Uint8Array(PAGE_BYTES);
    side.space.discard(0, REGION_BYTES);
  }

  private promote(): void {
    const side = this.clone.space === undefined ? this.source : this.clone;
    if (side.space !== undefined) faultRead(this.instance.memory, 0, side.space.region, 0, 0);
  }

  private isolate(): void {
    const { node } = this.instance;
    this.forgetTouches();
    const result = createIsolateResult();
    locked(node, () => {
      isolateLocked(node, 1, this.isolated.subarray(this.queued), result);
    });
    this.queued += result.isolated;
  }

  private claim(): void {
    if (this.isClaimed || this.queued === 0) return;
    this.compressor.claim(this.isolated.subarray(0, this.queued), 0, false);
    this.compressor.compress();
    this.isClaimed = true;
    this.queued = 0;
  }

  private publish(): void {
    if (this.isClaimed) this.compressor.publish();
    this.isClaimed = false;
    this.other.run(this.isolated.subarray(0, this.queued));
    this.queued = 0;
  }

  private copyAhead(): void {
    this.forgetTouches();
    this.instance.node.words[lruBlockAt(DEFAULT_GROUP) + L.LB_COPY_CURSOR] = 0;
    this.ahead.copySome();
  }

  private demote(): void {
    for (let turn = 0; turn < 2; turn++) this.demoter.demote();
  }

  private forgetTouches(): void {
    const { node } = this.instance;
    node.words.fill(0, node.touchAt, node.touchAt + node.frames);
  }

  check(): void {
    const got = new Uint8Array(PAGE_BYTES);
    for (const { space, content } of [this.source, this.clone]) {
      if (space === undefined) continue;
      space.read(0, got, 0, PAGE_BYTES);
      assert.ok(Buffer.compare(got, content) === 0, `region ${space.region} holds what was written`);
    }
    this.instance.check();
  }

  /** What the source's page is now, in a word. */
  state(): string {
    const { node } = this.instance;
    const leaf = findLeaf(node, this.source.space?.region ?? -1, 0);
    const pte = leaf === 0 ? 0 : node.words[leaf];
    if (isPresent(pte)) return node.words[node.slotAt + frameFromPte(pte)] === 0 ? 'mapped' : 'mapped with a copy';
    if (!isSwapped(pte)) return 'none';
    return W.SLOT_TAG_NAMES[W.tagOf(peekSlot(node, slotFromPte(pte)))];
  }

  end(): void {
    this.publish();
    this.closeClone();
    if (this.source.space !== undefined) this.instance.closeSpace(this.source.space);
    const { node } = this.instance;
    assert.equal(node.words[L.H_SLOTS_USED], 0);
    assert.equal(node.words[L.H_REGION_PAGES] + node.words[L.H_INFLIGHT], 0);
  }
}

const STARTS: readonly (readonly [string, readonly string[]])[] = [
  ['none', []],
  ['mapped', ['writeSource']],
  ['mapped with a copy', ['writeSource', 'copyAhead']],
  ['frame', ['writeSource', 'isolate']],
  ['frame', ['writeSource', 'isolate', 'claim']],
  ['compressed', ['writeSource', 'isolate', 'publish']],
  ['raw', ['writeSource', 'writeSource', 'isolate', 'publish']],
  ['file', ['writeSource', 'isolate', 'publish', 'demote']],
  ['frame', ['writeSource', 'clone', 'closeClone']], // shared once: no entry owns the frame
  ['mapped with a copy', ['writeSource', 'isolate', 'publish', 'promote']],
];
const LENGTH = 3;

for (const [state, start] of STARTS) {
  test(`every sequence of ${LENGTH} operations after a clone, from: ${[...start, state].join(', ')}`, () => {
    const instance = createTestInstance({ bytes: 2 * MIB, areas: 2, fileBytes: MIB });
    const claimer = instance.join().nodes[0];
    const names = Object.keys(new Scene(instance, claimer).operations);
    let sequences = 0;
    const run = (rest: readonly string[]): void => {
      const scene = new Scene(instance, claimer);
      for (const name of start) scene.operations[name]();
      assert.equal(scene.state(), state);
      for (const name of ['clone', ...rest]) scene.operations[name]();
      try {
        scene.check();
        scene.end();
      } catch (error) {
        throw new Error(`after ${[...start, 'clone', ...rest].join(', ')}`, { cause: error });
      }
      sequences++;
    };
    for (let code = 0; code < names.length ** LENGTH; code++) {
      run(Array.from({ length: LENGTH }, (_, i) => names[Math.floor(code / names.length ** i) % names.length]));
    }
    assert.equal(sequences, 14 ** LENGTH);
    instance.finish();
  });
}
