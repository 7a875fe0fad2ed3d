// Which nodes have been silent for too long. Pure; times are those of SteadyTime, so that a stall of this manager counts for nobody.
import { QUIET_SHARE } from '../state/index.ts';

export class Liveness {
  readonly #nowMs: () => number;
  readonly #downAfterMs: () => number;
  /** Last heard, longest ago first: hearing from a node moves it to the end. */
  readonly #heardMs = new Map<string, number>();
  readonly #quiet = new Set<string>();

  constructor(nowMs: () => number, downAfterMs: () => number) {
    this.#nowMs = nowMs;
    this.#downAfterMs = downAfterMs;
  }

  /** True where it was quiet before. */
  heard(nodeId: string): boolean {
    this.#heardMs.delete(nodeId);
    this.#heardMs.set(nodeId, this.#nowMs());
    return this.#quiet.delete(nodeId);
  }

  /** The node is not, or no longer, this manager's to judge. */
  forget(nodeId: string): void {
    this.#heardMs.delete(nodeId);
    this.#quiet.delete(nodeId);
  }

  /** Its last heartbeat is recent enough; false also for one that was judged silent. */
  fresh(nodeId: string): boolean {
    return this.#heardMs.has(nodeId);
  }

  /** Nodes that may soon be silent; each is named once, until it is heard again. */
  takeQuiet(): string[] {
    const limit = this.#nowMs() - this.#downAfterMs() * QUIET_SHARE;
    const quiet: string[] = [];
    for (const [nodeId, heardMs] of this.#heardMs) {
      if (heardMs > limit) break;
      if (this.#quiet.has(nodeId)) continue;
      this.#quiet.add(nodeId);
      quiet.push(nodeId);
    }
    return quiet;
  }

  /** Nodes that are silent now; each is named once, until it is heard again. */
  takeSilent(): string[] {
    const limit = this.#nowMs() - this.#downAfterMs();
    const silent: string[] = [];
    for (const [nodeId, heardMs] of this.#heardMs) {
      if (heardMs > limit) break;
      this.#heardMs.delete(nodeId);
      silent.push(nodeId);
    }
    return silent;
  }
}
