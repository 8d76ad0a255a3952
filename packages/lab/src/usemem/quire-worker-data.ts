/** What the child hands to each of its threads. */
import type { CrewControl } from './crew.ts';
import type { Share } from './share.ts';

export interface QuireWorkerData {
  readonly handle: unknown;
  readonly control: CrewControl;
  readonly regionBytes: number;
  readonly share: Share;
}

/** Name under which the threads share the region. */
export const REGION = 'usemem';
