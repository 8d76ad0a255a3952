/**
 * Sequences of operations on regions beside plain copies (testing/region-model.ts), with steps of the daemons between them. One command is a word: it chooses the operation, by
 * weight, and its place and length. A failure prints the seed and the shortest sequence that fast-check found.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import * as fc from 'fast-check';
import { C, type CounterName } from '../../base/counters.ts';
import { PAGE_BYTES } from '../../base/units.ts';
import { daemonsOf } from '../../testing/daemon-steps.ts';
import { makePage, makePages } from '../../testing/page-data.ts';
import type { RegionModel } from '../../testing/region-model.ts';
import type { TestInstance, TestShape, TestThread } from '../../testing/test-instance.ts';
import type { Access } from '../access.ts';
import { sumCounter } from '../thread-slot.ts';

type Shared =
  | 'write'
  | 'writePages'
  | 'read'
  | 'fill'
  | 'pin'
  | 'usePin'
  | 'readInPlace'
  | 'writeInPlace'
  | 'beginRead'
  | 'settle'
  | 'daemons';

/** Where an operation takes place, and a number that it makes its length of. */
export interface Place {
  readonly model: RegionModel;
  readonly page: number;
  readonly size: number;
}

export interface Spot extends Place {
  /** Of the page, and a byte in it. */
  readonly offset: number;
  readonly inPage: number;
  readonly command: number;
}

type Played = void | Promise<void>;

/** `Own`: operations that a test has besides. */
export abstract class RegionSession<Own extends string> {
  readonly instance: TestInstance;
  protected readonly daemons: { step(): boolean }[];
  private readonly operations: readonly (Shared | Own)[];
  private readonly pinsMax: number;
  private turn = 0;

  protected constructor(
    instance: TestInstance,
    other: TestThread,
    weights: Readonly<Record<Shared | Own, number>>,
    pinsMax: number,
  ) {
    this.instance = instance;
    this.pinsMax = pinsMax;
    this.daemons = [instance, other].flatMap((thread) => daemonsOf(thread));
    const names = Object.entries(weights) as [Shared | Own, number][];
    this.operations = names.flatMap(([name, weight]) => new Array<Shared | Own>(weight).fill(name));
  }

  protected abstract placeOf(choice: number): Place;
  protected abstract playOwn(operation: Own, spot: Spot): Played;
  /** Those whose pins and reads are ended and whose pages are compared at the end. */
  protected abstract get models(): readonly RegionModel[];
  /** How often everything was full. */
  abstract get full(): number;

  run(command: number): Played {
    const operation = this.operations[command % this.operations.length];
    const place = this.placeOf(Math.floor(command / this.operations.length));
    const inPage = Math.imul(place.size, 2654435761) >>> 20;
    return this.play(operation, { ...place, offset: place.page * PAGE_BYTES, inPage, command });
  }

  private play(operation: Shared | Own, spot: Spot): Played {
    const { model, offset, inPage, size, command } = spot;
    switch (operation) {
      case 'write':
        return model.write(offset + inPage, makePage(command).subarray(0, 1 + (size % 700)));
      case 'writePages':
        return model.write(offset, makePages(command, 1 + (size % 12)));
      case 'read':
        return model.read(offset + inPage, 1 + (size % 9000));
      case 'fill':
        return model.fill(offset + (size % 2 === 0 ? 0 : inPage), command & 0xff, 1 + (size % 9000));
      case 'pin':
        model.unpin(this.pinsMax - 1);
        return model.pin(offset + inPage, 1 + (size % 20_000));
      case 'usePin':
        return size % 2 === 0 ? model.writePinned(makePages(command, 2)) : model.unpin(0);
      case 'readInPlace':
        return model.readInPlace(offset, 1 + inPage);
      case 'writeInPlace':
        return model.writeInPlace(offset + inPage, makePage(command));
      case 'beginRead':
        return model.beginRead(offset + inPage, 1 + (size % 9000));
      case 'settle':
        return model.settle();
      case 'daemons':
        for (let i = 0; i <= size % 3; i++) this.daemons[(this.turn++ + size) % this.daemons.length].step();
        return;
      default:
        return this.playOwn(operation, spot);
    }
  }

  counted(name: CounterName): number {
    return this.instance.nodes.reduce((total, node) => total + sumCounter(node, C[name]), 0);
  }

  async end(): Promise<void> {
    for (const model of this.models) {
      await model.settle();
      model.unpin(0);
    }
    this.instance.check();
    for (const model of this.models) model.readAll();
    this.instance.finish();
  }
}

export interface Scenario {
  readonly name: string;
  readonly shape: TestShape;
  readonly access?: Access;
  /** Whether the data can outgrow every tier. */
  readonly mayFill: boolean;
  readonly runs: number;
  /** What must have happened, or the scenario tests nothing. */
  readonly reaches: readonly CounterName[];
}

/** A failing sequence is shortened no longer than this. */
const SHRINK_MS_MAX = 60_000;

/** What no counter tells: `count` of all sessions together must come to `min`. */
interface Also<Session> {
  readonly what: string;
  readonly min: number;
  count(session: Session): number;
}

/** Each run plays `commandsMin` to twice as many. */
export function itAgrees<Session extends RegionSession<string>>(
  scenario: Scenario,
  commandsMin: number,
  open: () => Session,
  also?: Also<Session>,
): void {
  it(scenario.name, async () => {
    const command = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const commands = fc.array(command, { minLength: commandsMin, maxLength: commandsMin * 2, size: 'max' });
    const seen: Partial<Record<CounterName, number>> = {};
    let runs = 0;
    let counted = 0;
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const session = open();
        for (const word of sequence) await session.run(word);
        await session.end();
        assert.ok(scenario.mayFill || session.full === 0, 'there was room');
        runs++;
        counted += also?.count(session) ?? 0;
        for (const name of scenario.reaches) seen[name] = (seen[name] ?? 0) + session.counted(name);
      }),
      { numRuns: scenario.runs, interruptAfterTimeLimit: SHRINK_MS_MAX },
    );
    assert.ok(runs >= scenario.runs);
    for (const name of scenario.reaches) assert.ok((seen[name] ?? 0) > 0, `${name} never happened`);
    assert.ok(counted >= (also?.min ?? 0), `${counted} ${also?.what}`);
  });
}
