/**
 * The `pressure` event: a trigger is a stall of so much in a window of so long, as one writes to the kernel's
 * /proc/pressure/memory. While somebody listens, the totals are looked at ten times a window; an event comes at most once a
 * window and trigger.
 */
import type { EventEmitter } from 'node:events';
import { invalidArg, outOfRange } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import type { Pressure, StallMeter } from '../reclaim/pressure.ts';

export interface PressureTrigger {
  /** 'some': a thread was stalled. 'full': all were. */
  readonly kind: 'some' | 'full';
  /** Stalled for at least this long… */
  readonly stallMs: number;
  /** …within this long: 500…10,000 ms. */
  readonly windowMs: number;
}

export interface PressureEvent extends PressureTrigger {
  /** What was counted: stalled milliseconds within the window. */
  readonly stalledMs: number;
  readonly pressure: Pressure;
}

/** Events of a Quire. */
export interface QuireEvents {
  /** Threads were stalled for want of memory for as long as an option `pressure` names. */
  pressure: [PressureEvent];
}

const TRIGGER_OPTIONS: OptionNames<PressureTrigger> = { kind: true, stallMs: true, windowMs: true };

/** The example of the kernel's own document for `some`: 150 ms in a second; and half of it for `full`. */
export const TRIGGERS_DEFAULT: readonly PressureTrigger[] = [
  { kind: 'some', stallMs: 150, windowMs: 1000 },
  { kind: 'full', stallMs: 75, windowMs: 1000 },
];
/** Bounds of the kernel (PSI_WINDOW_MIN and _MAX). */
const WINDOW_MS_MIN = 500;
const WINDOW_MS_MAX = 10_000;
const LOOKS_A_WINDOW = 10;
/** Averages are kept up to date even when nobody listens. */
const SAMPLE_MS = 2000;

/** Throws ERR_QUIRE_INVALID_ARG or ERR_QUIRE_RANGE. */
export function resolveTriggers(triggers: unknown): readonly PressureTrigger[] {
  if (triggers === undefined) return TRIGGERS_DEFAULT;
  if (!Array.isArray(triggers)) throw invalidArg('pressure', 'an array of triggers', triggers);
  for (const trigger of triggers as unknown[]) {
    const { kind, stallMs, windowMs } = checkOptions<Partial<PressureTrigger>>('pressure[]', trigger, TRIGGER_OPTIONS);
    if (kind !== 'some' && kind !== 'full') throw invalidArg('pressure[].kind', "'some' or 'full'", kind);
    if (typeof windowMs !== 'number') throw invalidArg('pressure[].windowMs', 'a number', windowMs);
    if (typeof stallMs !== 'number') throw invalidArg('pressure[].stallMs', 'a number', stallMs);
    if (!(windowMs >= WINDOW_MS_MIN && windowMs <= WINDOW_MS_MAX))
      throw outOfRange('pressure[].windowMs', `${WINDOW_MS_MIN}…${WINDOW_MS_MAX}`, windowMs);
    if (!(stallMs > 0 && stallMs <= windowMs))
      throw outOfRange('pressure[].stallMs', 'above 0, at most the window', stallMs);
  }
  return triggers as PressureTrigger[];
}

interface Armed {
  readonly trigger: PressureTrigger;
  beganMs: number;
  /** Total of the kind when the window began. */
  beganUs: number;
  quietUntilMs: number;
}

export class PressureWatch {
  private readonly meter: StallMeter;
  private readonly emit: (event: PressureEvent) => void;
  private readonly armed: Armed[];
  private readonly sampler: NodeJS.Timeout;
  private watcher: NodeJS.Timeout | undefined;

  constructor(meter: StallMeter, triggers: readonly PressureTrigger[], emit: (event: PressureEvent) => void) {
    this.meter = meter;
    this.emit = emit;
    this.armed = triggers.map((trigger) => ({ trigger, beganMs: 0, beganUs: 0, quietUntilMs: 0 }));
    this.sampler = setInterval(() => this.meter.read(), SAMPLE_MS).unref();
  }

  /** Watches while somebody listens to the event. */
  follow(events: EventEmitter): void {
    events.on('newListener', (name) => {
      if (name === 'pressure') this.start();
    });
    events.on('removeListener', () => {
      if (events.listenerCount('pressure') === 0) this.pause();
    });
  }

  /** Somebody listens. Does not keep the process alive. */
  private start(): void {
    if (this.watcher !== undefined || this.armed.length === 0) return;
    const { some, full } = this.meter.read();
    const now = performance.now();
    for (const armed of this.armed) {
      armed.beganMs = now;
      armed.beganUs = armed.trigger.kind === 'some' ? some.totalUs : full.totalUs;
    }
    const shortest = Math.min(...this.armed.map(({ trigger }) => trigger.windowMs));
    this.watcher = setInterval(() => this.look(), shortest / LOOKS_A_WINDOW).unref();
  }

  /** Nobody listens any more. */
  private pause(): void {
    clearInterval(this.watcher);
    this.watcher = undefined;
  }

  stop(): void {
    this.pause();
    clearInterval(this.sampler);
  }

  private look(): void {
    const pressure = this.meter.read();
    const now = performance.now();
    for (const armed of this.armed) this.lookAt(armed, pressure, now);
  }

  /** Windows follow each other; one that is not over yet is judged by what it has already. */
  private lookAt(armed: Armed, pressure: Pressure, now: number): void {
    const { trigger } = armed;
    const { totalUs } = pressure[trigger.kind];
    const stalledMs = (totalUs - armed.beganUs) / 1000;
    const isOver = now - armed.beganMs >= trigger.windowMs;
    const isDue = stalledMs >= trigger.stallMs && now >= armed.quietUntilMs;
    if (isOver || isDue) {
      armed.beganMs = now;
      armed.beganUs = totalUs;
    }
    if (!isDue) return;
    armed.quietUntilMs = now + trigger.windowMs;
    this.emit({ ...trigger, stalledMs, pressure });
  }
}

const { hrtime } = process;

/** The machine's clock, the same in all threads, in microseconds. */
export function stallClockUs(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}
