/**
 * The kernels `readPage` and `readParts` (assembly/read-page.ts) load by load, against everything that takes a page, its storage or its leaf away.
 * vm/page-read-order.test.ts holds the loads of the model against those that the kernels make.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explore, load, type Model, type Results, type Steps } from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';
import * as M from './testing/page-read-model.ts';
import * as W from './testing/page-read-writers.ts';

const { OLD, NEW, OTHER, SOUND } = W;

function* reader(variant: M.Variant, out: Results): Steps {
  const oldest = yield* load(W.OLDEST);
  const wasClosed = (yield* load(M.STATE)) !== 0;
  const read = yield* M.readPage(variant);
  if (read === undefined) return;
  const newest = yield* load(W.NEWEST);
  out['read'] = wasClosed ? 5 : outcomeOf(read, oldest, newest);
}

function outcomeOf(read: readonly number[], oldest: number, newest: number): number {
  if (read.every((part) => part === OTHER)) return 3;
  if (read.some((part) => part === OTHER || part === 0)) return 2;
  return read.every((part) => part >= oldest && part <= newest) ? 1 : 4;
}

const OUTCOMES = [
  'left to openRead',
  'this page',
  'bytes of another page',
  'another page',
  'this page as it was',
  'a page of what is closed',
];

type Actor = () => Steps;

function model(where: M.Place, variant: M.Variant, ...writers: Actor[]): Model {
  const memory = Array.from({ length: W.WORDS }, () => 0);
  memory[W.OLDEST] = OLD;
  memory[W.NEWEST] = OLD;
  M.fillMemory(memory, where, OLD);
  // A stored page that is written anew is so in frame 0; frame 1 is another page's until it is taken.
  if (where === 'object') memory.fill(NEW, M.bytesOf(0), M.bytesOf(1));
  memory.fill(OTHER, M.bytesOf(1), M.bytesOf(2));
  return {
    memory,
    actors: [(out) => reader(variant, out), ...writers],
    outcome: (_memory, out) => OUTCOMES[out['read'] ?? 0],
  };
}

/** The place for `memory` is changed before anybody begins. */
function changed(where: M.Place, variant: M.Variant, change: (memory: number[]) => void): Model {
  const at = model(where, variant);
  const memory = [...at.memory];
  change(memory);
  return { ...at, memory };
}

const RESIDENT = [W.evict, W.moveFrame, W.discardResident, W.freeLeaf];
/** After each of these another page's bytes lie where the page's were. */
const TAKING: W.Writer[] = [W.rewrite, W.freeTable, W.moveObject, W.moveTail];
const OBJECT: W.Writer[] = [...TAKING, W.discardAndRewrite];
const reuseRaw: W.Writer = (variant) => W.reuseFrameAndSlot(variant, M.wordOfRaw(0));
const moveShared: W.Writer = (variant) => W.moveStorageFrame(variant, M.wordOfFrame);
const moveRaw: W.Writer = (variant) => W.moveStorageFrame(variant, M.wordOfRaw);
const reuseGranule: W.Writer = (variant) => W.reuseGranule(variant, M.SLOT);
const reuseByOther: W.Writer = (variant) => W.reuseGranule(variant, M.OTHER_SLOT);
const TAKING_FRAME: W.Writer[] = [W.publish, W.bringBackOther, W.reuseFrameAndSlot, moveShared];
const FRAME: W.Writer[] = [...TAKING_FRAME, W.bringBack, W.publishRaw];
const TAKING_RAW: W.Writer[] = [W.demote, reuseRaw, moveRaw];
const RAW: W.Writer[] = [...TAKING_RAW, W.bringBack];
const TAKING_FILE: W.Writer[] = [W.moveOnFile, W.promote, reuseGranule, reuseByOther];
const FILE: W.Writer[] = [...TAKING_FILE, W.bringInAndWrite, W.discardAndRewriteOnFile];
const SWAPPED: readonly (readonly [M.Place, readonly W.Writer[]])[] = [
  ['object', OBJECT],
  ['frame', FRAME],
  ['raw', RAW],
  ['file', FILE],
];
const ENDS = ['left to openRead', 'this page'];

const by =
  (writer: W.Writer, variant: W.WriterVariant = SOUND): Actor =>
  () =>
    writer(variant);

function checkUnsound(broken: Model): void {
  const found = [...explore(broken).outcomes.keys()];
  assert.ok(
    found.some((name) => !ENDS.includes(name)),
    found.join(),
  );
}

describe('readPage in all schedules', () => {
  it('gives this page or nothing while a page leaves its frame', () => {
    for (const writer of RESIDENT) checkOutcomes(model('resident', M.REAL, writer), ENDS);
    checkOutcomes(model('resident', M.REAL, W.evict, W.freeLeaf), ENDS);
  });

  for (const [where, writers] of SWAPPED) {
    it(`gives this page or nothing while it is taken away from where its slot is: ${where}`, () => {
      for (const writer of writers) checkOutcomes(model(where, M.REAL, by(writer)), ENDS);
      if (where !== 'object') checkOutcomes(model(where, M.REAL, by(W.freeLeafAndSlot)), ENDS);
      checkOutcomes(model(where, M.REAL, W.freeLeaf), ENDS);
    });
  }

  it('gives this page or nothing of a part on file', () => {
    for (const writer of FILE) checkOutcomes(model('file', { ...M.REAL, firstPart: 1 }, by(writer)), ENDS);
  });

  it('gives this page or nothing when it goes on: from its frame to a slot and another place, from its raw frame to file and on', () => {
    const evicted = function* (): Steps {
      yield* W.evict();
      yield* W.moveObject(SOUND);
    };
    checkOutcomes(model('resident', M.REAL, evicted), ENDS);
    const demoted = function* (): Steps {
      yield* W.demote(SOUND);
      yield* W.moveOnFile(SOUND);
    };
    checkOutcomes(model('raw', M.REAL, demoted), ENDS);
  });

  it('gives a page that its owner takes back from its slot, and writes to where it is, in one state and never half written', () => {
    const HALVES = ['left to openRead', 'one state', 'half written'];
    const halves = (where: M.Place, variant: W.WriterVariant): Model => ({
      ...model(where, M.REAL),
      actors: [
        function* (out: Results): Steps {
          const read = yield* M.readSwapped(M.REAL, M.SWAPPED);
          if (read !== undefined) out['read'] = read[0] === read[1] ? 1 : 2;
        },
        by(W.bringBack, variant),
      ],
      outcome: (_memory, out) => HALVES[out['read'] ?? 0],
    });
    for (const where of ['frame', 'raw'] as const) {
      checkOutcomes(halves(where, SOUND), ['left to openRead', 'one state']);
      checkBroken(halves(where, { ...SOUND, movesVersion: 'never' }), 'half written');
    }
  });

  it('gives nothing once the instance is closed', () => {
    for (const where of ['resident', 'frame', 'raw', 'object', 'file'] as const) {
      checkOutcomes(model(where, M.REAL, W.closeInstance), ENDS);
      checkBroken(model(where, { ...M.REAL, looksAtState: false }, W.closeInstance), 'a page of what is closed');
    }
  });

  it('gives nothing of damaged bytes on file, nor of parts behind an object that is none of a raw page', () => {
    const damage = (memory: number[]) => (memory[M.fileOf(0) + 3] = OTHER);
    checkOutcomes(changed('file', M.REAL, damage), ['left to openRead']);
    checkBroken(changed('file', { ...M.REAL, checks: 'none' }, damage), 'bytes of another page');
    // What the slot had at this granule before is still behind the compressed object that it has there now.
    const leaveOldPart = (memory: number[]): void => {
      memory[M.fileOf(0)] = M.COMPRESSED;
      memory[M.fileOf(0) + 2] = M.partHeader(M.SLOT, 1, OTHER);
      memory[M.fileOf(0) + 3] = OTHER;
    };
    checkOutcomes(changed('file', { ...M.REAL, firstPart: 1 }, leaveOldPart), ['left to openRead']);
    checkBroken(changed('file', { ...M.REAL, firstPart: 1, checks: 'wanted' }, leaveOldPart), 'another page');
  });

  it('broken: nothing is looked at after the bytes', () => {
    const variant: M.Variant = { ...M.REAL, closing: 'none' };
    for (const writer of [W.evict, W.moveFrame, W.discardResident])
      checkBroken(model('resident', variant, writer), 'another page');
    for (const writer of TAKING) checkUnsound(model('object', variant, by(writer)));
    for (const writer of TAKING_FRAME) checkBroken(model('frame', variant, by(writer)), 'another page');
    for (const writer of TAKING_RAW) checkBroken(model('raw', variant, by(writer)), 'another page');
    checkBroken(model('file', variant, by(reuseGranule)), 'another page');
    // The slot's number in the header tells the others, even then.
    for (const writer of [W.moveOnFile, W.promote, reuseByOther])
      checkBroken(model('file', { ...variant, checks: 'none' }, by(writer)), 'another page');
  });

  it('broken: looked at before the bytes are copied', () => {
    const variant: M.Variant = { ...M.REAL, closing: 'early' };
    checkBroken(model('resident', variant, W.moveFrame), 'another page');
    checkBroken(model('object', variant, by(W.rewrite)), 'another page');
    for (const writer of TAKING_FRAME) checkBroken(model('frame', variant, by(writer)), 'another page');
    for (const writer of TAKING_RAW) checkBroken(model('raw', variant, by(writer)), 'another page');
    checkBroken(model('file', variant, by(reuseGranule)), 'another page');
  });

  it("broken: the slot's word is looked at for its sequence", () => {
    const variant: M.Variant = { ...M.REAL, closing: 'word' };
    checkBroken(model('object', variant, by(W.rewrite)), 'another page');
    checkBroken(model('object', variant, by(W.moveTail)), 'bytes of another page');
    checkBroken(model('file', variant, by(reuseGranule)), 'another page');
  });

  it('broken: the entry is not looked at again', () => {
    const variant: M.Variant = { ...M.REAL, looksAgain: false };
    checkBroken(model('resident', variant, W.moveFrame), 'another page');
    checkBroken(model('object', variant, by(W.rewrite)), 'another page');
    checkBroken(model('frame', variant, by(W.reuseFrameAndSlot)), 'another page');
    checkBroken(model('raw', variant, by(reuseRaw)), 'another page');
    checkBroken(model('file', variant, by(reuseGranule)), 'another page');
  });

  it("broken: of a frame that a slot names, the word is not looked at after the frame's version", () => {
    const variant: M.Variant = { ...M.REAL, looksAtWordAgain: false };
    checkBroken(model('frame', variant, by(W.publish)), 'another page');
  });

  it("broken: of a frame that a slot names, the sequence is not looked at after the frame's version", () => {
    const variant: M.Variant = { ...M.REAL, looksAtSequenceAgain: false };
    checkBroken(model('frame', variant, by(W.reuseFrameAndSlot)), 'another page');
    checkBroken(model('raw', variant, by(reuseRaw)), 'another page');
  });

  it('broken: the generation is not looked at afterwards: the leaf is of another region', () => {
    const variant: M.Variant = { ...M.REAL, looksAtGeneration: false };
    checkBroken(model('resident', variant, W.freeLeaf), 'another page');
    for (const where of ['frame', 'raw', 'file'] as const)
      checkBroken(model(where, variant, by(W.freeLeafAndSlot)), 'another page');
  });

  it('broken: who takes storage away does not move the sequence', () => {
    const silent: W.WriterVariant = { ...SOUND, movesSequence: false };
    for (const writer of TAKING) checkUnsound(model('object', M.REAL, by(writer, silent)));
    checkBroken(model('frame', M.REAL, by(W.reuseFrameAndSlot, silent)), 'another page');
    checkBroken(model('raw', M.REAL, by(reuseRaw, silent)), 'another page');
    checkBroken(model('file', M.REAL, by(reuseGranule, silent)), 'another page');
  });

  it("broken: who takes a frame from its slot does not move its version, or before the slot's word", () => {
    for (const movesVersion of ['never', 'first'] as const) {
      const early: W.WriterVariant = { ...SOUND, movesVersion };
      checkBroken(model('frame', M.REAL, by(W.bringBackOther, early)), 'another page');
      checkBroken(model('frame', M.REAL, by(moveShared, early)), 'another page');
      for (const writer of TAKING_RAW) checkBroken(model('raw', M.REAL, by(writer, early)), 'another page');
    }
  });
});
