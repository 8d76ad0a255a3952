/** Outcomes with their labels, as jcstress has them. */
import assert from 'node:assert/strict';
import { explore, type Model } from './explore.ts';

/** Every outcome that any schedule has must be named ACCEPTABLE, and each that is named must occur: else the model does not show what it says. */
export function checkOutcomes(model: Model, acceptable: readonly string[]): void {
  const { outcomes, states } = explore(model);
  for (const [name, schedule] of outcomes) {
    assert.ok(acceptable.includes(name), `FORBIDDEN outcome '${name}':\n${schedule.join('\n')}`);
  }
  assert.deepEqual([...outcomes.keys()].sort(), [...acceptable].sort(), `of ${states} states`);
}

/** The broken variant of a protocol: some schedule must have the forbidden outcome, or the check could not fail. */
export function checkBroken(model: Model, forbidden: string): void {
  const { outcomes, states } = explore(model);
  assert.ok(
    outcomes.has(forbidden),
    `'${forbidden}' was not found in ${states} states, only ${[...outcomes.keys()].join()}`,
  );
}
