/**
 * Pressure stall information (kernel/sched/psi.c; Weiner 2018): the share of time in which threads of the program could not
 * go on for want of memory. A thread is stalled while it reclaims or compacts for itself, is held up as a writer of dirty
 * pages, or waits for a page of the file tier.
 *
 *   some   at least one thread is stalled
 *   full   all threads of the program are: nothing productive happens. One that idles counts as going on, which the kernel
 *          would leave out; so this `full` is a lower bound. Daemons count for neither.
 *
 * The words are node 0's, under a spin lock of their own that is held for some twenty loads and stores and nothing is taken
 * under; it may be taken under any lock. Who enters or leaves a stall adds the time since the last change to what was the
 * state until then. Averages decay as the kernel's do, by exp(−elapsed / window); whoever looks brings them up to date.
 *
 * A thread that reads the file tier waits often, and mostly for microseconds: after a wait that was short it times the next for
 * itself and tells the sum later, so that short waits cost two looks at the clock and no lock. What it tells counts as far as
 * others were not stalled in the same time, the two taken as independent; as full only when it is the only thread. A long wait
 * is told when it ends, and from the next on the others see the thread stalled while it waits. So totals are late by at
 * most OWED_US_MAX and one wait a thread, and no time is ever counted twice.
 */
import * as L from '../arena/layout.ts';
import { assert } from '../base/assert.ts';

export interface PressureLine {
  /** Share of the time, 0…100 %, over about the last 10, 60 and 300 seconds. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  /** Since the instance was opened, in microseconds. */
  readonly totalUs: number;
}

export interface Pressure {
  readonly some: PressureLine;
  readonly full: PressureLine;
}

/* What T_STALL says of a thread. */
const STALL_NOT_COUNTED = 0;
const STALL_NONE = 1;
const STALL_STALLED = 2;

/* Doubles from H_PSI_TIMES on. Times are microseconds. */
const LAST = 0; // the last change
const SOME = 1;
const FULL = 2;
const SAMPLED = 3; // the last look at the averages, and the totals then
const SAMPLED_SOME = 4;
const SAMPLED_FULL = 5;
const AVERAGES = 6; // some 10, 60, 300; full 10, 60, 300

const WINDOWS_US = [10e6, 60e6, 300e6];
/** As the kernel: looking more often changes the averages by less than they are worth. */
const SAMPLE_US_MIN = 2e6;
/** A wait that found its bytes in memory takes less, one that went to a device more. */
const SHORT_US = 20;
/** Told when it is so much: a fortieth of a per mille of a window of 10 s. */
export const OWED_US_MAX = 250;
/** Some 50 µs. A thread that died inside must not hold up the others: they go on, and a little time is counted wrong. */
const SPINS_MAX = 50_000;

/** One thread's door to the pressure words. */
export class StallMeter {
  private readonly words: Int32Array;
  private readonly times: Float64Array;
  private readonly nowUs: () => number;
  private readonly markAt: number;
  private depth = 0;
  /** The last wait was short: the next is timed by this thread alone. */
  private isShort = false;
  private isOwnTime = false;
  private waitBeganUs = 0;
  /** Waited and not told, since `toldUs`, when the total of `some` was `toldSome`. */
  private owedUs = 0;
  private toldUs = 0;
  private toldSome = 0;

  /**
   * `nowUs`: microseconds of a clock that only goes forward, the same for all threads. `threadAt`: the thread's slot, which
   * then says what it counts as (T_STALL), so that it can be counted no more when it died.
   */
  constructor(home: Int32Array, nowUs: () => number, threadAt?: number) {
    this.words = home;
    this.markAt = threadAt === undefined ? -1 : threadAt + L.T_STALL;
    this.times = new Float64Array(home.buffer, L.H_PSI_TIMES * 4, L.PSI_DOUBLES);
    this.nowUs = nowUs;
  }

  /** A thread of the program joins. */
  join(): void {
    this.change(L.H_PSI_THREADS, 1, STALL_NONE);
  }

  leave(): void {
    this.tell();
    assert(this.depth === 0, 'a thread leaves while it is stalled', this.depth);
    this.change(L.H_PSI_THREADS, -1, STALL_NOT_COUNTED);
  }

  /** The thread died: it is no thread of the program any more, nor stalled. For another meter of its slot. */
  bury(): void {
    if (this.words[this.markAt] === STALL_STALLED) this.change(L.H_PSI_STALLED, -1, STALL_NONE);
    if (this.words[this.markAt] === STALL_NONE) this.leave();
  }

  /** The thread cannot go on. Pairs with `end`; may be nested. */
  begin(): void {
    this.tell();
    if (this.depth++ === 0) this.change(L.H_PSI_STALLED, 1, STALL_STALLED);
  }

  end(): void {
    assert(this.depth > 0, 'a stall ends that began', this.depth);
    if (--this.depth === 0) this.change(L.H_PSI_STALLED, -1, STALL_NONE);
  }

  /** As `begin`, of a stall that may be short and comes often. Pairs with `endWait`; nothing else begins in between. */
  beginWait(): void {
    this.isOwnTime = this.isShort && this.depth === 0;
    if (!this.isOwnTime) this.begin();
    this.waitBeganUs = this.isOwnTime ? this.nowUs() : this.times[LAST];
  }

  endWait(): void {
    if (!this.isOwnTime) {
      this.end();
      this.isShort = this.depth === 0 && this.times[LAST] - this.waitBeganUs < SHORT_US;
      return;
    }
    this.isOwnTime = false;
    const waitedUs = Math.max(0, this.nowUs() - this.waitBeganUs);
    this.owedUs += waitedUs;
    this.isShort = waitedUs < SHORT_US;
    if (!this.isShort || this.owedUs >= OWED_US_MAX) this.tell();
  }

  /** Adds what this thread timed for itself. */
  private tell(): void {
    if (this.owedUs === 0) return;
    this.lock();
    this.advance();
    const { times, words } = this;
    const elapsed = times[LAST] - this.toldUs;
    const others = times[SOME] - this.toldSome;
    const alone = elapsed > 0 ? Math.max(0, 1 - others / elapsed) : 0;
    const added = Math.min(this.owedUs, elapsed) * alone;
    times[SOME] += added;
    if (words[L.H_PSI_THREADS] <= 1) times[FULL] += added;
    this.owedUs = 0;
    this.noteTold();
    this.unlock();
  }

  private noteTold(): void {
    this.toldUs = this.times[LAST];
    this.toldSome = this.times[SOME];
  }

  private change(at: number, by: number, mark: number): void {
    this.lock();
    this.advance();
    // Atomic although locked: a lock that was taken from a holder off the processor must not cost a count for ever.
    Atomics.add(this.words, at, by);
    if (this.markAt >= 0) this.words[this.markAt] = mark;
    this.noteTold();
    this.unlock();
  }

  /** Totals and averages as of now. */
  read(): Pressure {
    this.tell();
    this.lock();
    this.advance();
    const { times } = this;
    if (times[LAST] - times[SAMPLED] >= SAMPLE_US_MIN) this.sample();
    const line = (total: number, averages: number): PressureLine => ({
      avg10: times[averages],
      avg60: times[averages + 1],
      avg300: times[averages + 2],
      totalUs: Math.round(times[total]),
    });
    const pressure = { some: line(SOME, AVERAGES), full: line(FULL, AVERAGES + WINDOWS_US.length) };
    this.unlock();
    return pressure;
  }

  /** Adds the time since the last change to what was the state until now. */
  private advance(): void {
    const { words, times } = this;
    const now = this.nowUs();
    if (times[LAST] === 0) times[SAMPLED] = now; // the first of all
    const elapsed = times[LAST] === 0 ? 0 : Math.max(0, now - times[LAST]);
    const stalled = words[L.H_PSI_STALLED];
    if (stalled > 0) times[SOME] += elapsed;
    if (stalled > 0 && stalled >= words[L.H_PSI_THREADS]) times[FULL] += elapsed;
    times[LAST] = Math.max(times[LAST], now);
  }

  private sample(): void {
    const { times } = this;
    const elapsed = times[LAST] - times[SAMPLED];
    const shares = [
      (100 * (times[SOME] - times[SAMPLED_SOME])) / elapsed,
      (100 * (times[FULL] - times[SAMPLED_FULL])) / elapsed,
    ];
    for (const [line, share] of shares.entries()) {
      for (const [i, window] of WINDOWS_US.entries()) {
        const kept = Math.exp(-elapsed / window);
        const at = AVERAGES + line * WINDOWS_US.length + i;
        times[at] = times[at] * kept + share * (1 - kept);
      }
    }
    times[SAMPLED] = times[LAST];
    times[SAMPLED_SOME] = times[SOME];
    times[SAMPLED_FULL] = times[FULL];
  }

  /** Pairs with `unlock`: what the last holder stored is seen. */
  private lock(): void {
    for (let spin = 0; spin < SPINS_MAX; spin++) {
      if (Atomics.compareExchange(this.words, L.H_PSI_LOCK, 0, 1) === 0) return;
    }
    Atomics.store(this.words, L.H_PSI_LOCK, 1);
  }

  private unlock(): void {
    Atomics.store(this.words, L.H_PSI_LOCK, 0);
  }
}
