/**
 * A daemon is a step machine: `step()` does a bounded piece of work and says whether there may be more. It never
 * waits; the runner does (inline: nobody, worker: on the event word). So the simulator can drive the same code one
 * step at a time.
 */
export interface Daemon {
  readonly name: string;
  /** True when it did something, false when it found nothing to do. */
  step(): boolean;
}
