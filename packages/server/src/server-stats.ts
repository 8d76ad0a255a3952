/** Counters of the server since its start or the last CONFIG RESETSTAT, and the rates made of them. */
const SAMPLES = 16;

export class ServerStats {
  connectionsReceived = 0;
  connectionsRejected = 0;
  netInputBytes = 0;
  netOutputBytes = 0;
  expiredKeys = 0;
  clientsHeldBack = 0;
  peakMemoryBytes = 0;
  private readonly samples: { commands: number; input: number; output: number; atMs: number }[] = [];

  /** Takes one sample for the rates; called by the timer. */
  sample(commands: number): void {
    this.samples.push({ commands, input: this.netInputBytes, output: this.netOutputBytes, atMs: performance.now() });
    if (this.samples.length > SAMPLES) this.samples.shift();
  }

  /** Commands, input bytes and output bytes per second over the last second and a half. */
  rates(): { commands: number; input: number; output: number } {
    const first = this.samples[0];
    const last = this.samples[this.samples.length - 1];
    const seconds = first === undefined ? 0 : (last.atMs - first.atMs) / 1000;
    if (seconds <= 0) return { commands: 0, input: 0, output: 0 };
    return {
      commands: Math.max(0, last.commands - first.commands) / seconds,
      input: Math.max(0, last.input - first.input) / seconds,
      output: Math.max(0, last.output - first.output) / seconds,
    };
  }

  reset(): void {
    this.connectionsReceived = 0;
    this.connectionsRejected = 0;
    this.netInputBytes = 0;
    this.netOutputBytes = 0;
    this.expiredKeys = 0;
    this.clientsHeldBack = 0;
    this.samples.length = 0;
  }
}
