// Since when the nodes are as they are: for what is done only after they have come to rest.
import type { Clock } from '../../lib/clock.ts';
import type { Change } from '../state/index.ts';
import { movesTasks } from './dirty-services.ts';

export class NodeCalm {
  readonly #clock: Clock;
  #sinceMs: number;
  #number = 0;

  /** Whoever leads anew does not know what was before. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.nowMs();
  }

  /** Since the last change of a node that placement asks about. */
  get calmMs(): number {
    return this.#clock.nowMs() - this.#sinceMs;
  }

  /** How many such changes there were. */
  get calmNumber(): number {
    return this.#number;
  }

  note(changes: readonly Change[]): void {
    for (const change of changes) {
      const isOne = change.table === 'nodes' || change.table === 'nodeWatch' || (change.table === 'nodeStatus' && movesTasks(change));
      if (!isOne) continue;
      this.#sinceMs = this.#clock.nowMs();
      this.#number++;
    }
  }
}
