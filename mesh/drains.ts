// Counts the open connections of every task, and says which draining tasks have none left: those may be stopped.
// A connection counts from the moment its replica is chosen, so a task that is said to be idle cannot get one any more.
import { type PortRoute, TargetState } from '../proto/index.ts';

export class Drains {
  readonly #open = new Map<string, number>();
  #draining: ReadonlySet<string> = new Set();
  readonly #onIdle: () => void;

  /** `onIdle` is called when a draining task loses its last connection. */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** Takes what the table says; a task that is gone from it is forgotten. */
  update(ports: Iterable<PortRoute>): void {
    const draining = new Set<string>();
    for (const port of ports) {
      for (const target of port.targets) {
        if (target.state === TargetState.TARGET_DRAINING) draining.add(target.taskId);
      }
    }
    this.#draining = draining;
  }

  opened(taskId: string): void {
    this.#open.set(taskId, (this.#open.get(taskId) ?? 0) + 1);
  }

  closed(taskId: string): void {
    const open = (this.#open.get(taskId) ?? 0) - 1;
    if (open > 0) {
      this.#open.set(taskId, open);
      return;
    }
    this.#open.delete(taskId);
    if (this.#draining.has(taskId)) this.#onIdle();
  }

  /** Draining tasks without a connection, in ascending order. */
  idle(): readonly string[] {
    return [...this.#draining].filter((taskId) => !this.#open.has(taskId)).sort();
  }
}
