/** Runs a script against this server and compares the answers with expected ones. */
import { Server } from '../server.ts';
import type { Store } from '../store.ts';
import { parseScript, runScript, scriptFlags } from './script.ts';

/** The first differences, readable; empty when there is none. */
export async function compareScript(text: string, expected: readonly string[], store: Store): Promise<string[]> {
  const flags = scriptFlags(text);
  const password = flags.includes('--requirepass') ? flags[flags.indexOf('--requirepass') + 1] : undefined;
  const server = await Server.listen({
    store,
    port: 0,
    ...(password === undefined ? {} : { requirepass: password }),
  });
  try {
    const steps = parseScript(text);
    const answers = await runScript(server.port, steps, password);
    return steps
      .map(({ line }, i) => ({ line, wanted: expected[i], got: answers[i], i }))
      .filter(({ wanted, got }) => wanted !== got)
      .map(({ line, wanted, got, i }) => `step ${i}: ${line}\n  redis: ${quote(wanted)}\n  quire: ${quote(got)}`);
  } finally {
    await server.close();
  }
}

function quote(text: string | undefined): string {
  return JSON.stringify(text)?.slice(0, 1500) ?? 'nothing';
}
