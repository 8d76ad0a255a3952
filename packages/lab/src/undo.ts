/**
 * What a run did to the machine and has to be undone whatever happens: swap devices, cgroups, child processes, temporary
 * folders. Steps run newest first, each once, also on SIGINT, SIGTERM and an exception. They are synchronous, because a
 * process that is leaving waits for nothing.
 */

type Step = () => void;

const steps: Step[] = [];
let isListening = false;

/** Registers a step; the returned function runs it early. A step that throws is reported and the rest still run. */
export function undoLater(step: Step): () => void {
  listen();
  steps.push(step);
  return () => {
    const index = steps.lastIndexOf(step);
    if (index >= 0) {
      steps.splice(index, 1);
      step();
    }
  };
}

export function undoAll(): void {
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      step();
    } catch (error) {
      process.stderr.write(`lab: cleaning up: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
}

function listen(): void {
  if (isListening) return;
  isListening = true;
  process.on('exit', undoAll);
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      undoAll();
      process.exit(status);
    });
  }
}
