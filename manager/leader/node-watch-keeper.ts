// Keeps the stored row about nodes as NodeWatchBook says it shall be, and wakes the leader's loop when time alone changes it.
import { sleep, type Timer } from '../../lib/clock.ts';
import type { Change } from '../state/index.ts';
import type { BatchResult, Committer } from './committer.ts';
import type { LeadOptions } from './leadership.ts';
import { NodeWatchBook } from './node-watch.ts';

const RETRY_MS = 500;

export class NodeWatchKeeper {
  readonly #options: LeadOptions;
  readonly #committer: Committer;
  readonly #wakeUp: () => void;
  readonly #book: NodeWatchBook;
  #timer: Timer | undefined;

  constructor(options: LeadOptions, committer: Committer, wakeUp: () => void) {
    this.#options = options;
    this.#committer = committer;
    this.#wakeUp = wakeUp;
    this.#book = new NodeWatchBook(options.state, options.clock);
  }

  /** Whether `settle` may have something to do now. */
  get isDue(): boolean {
    return (this.#book.wakeAtMs ?? Infinity) <= this.#options.clock.nowMs();
  }

  note(changes: readonly Change[]): void {
    this.#book.note(changes);
  }

  /** Resolves to true once the row is as it shall be, and in the state; to false when the leadership has ended before. */
  async settle(): Promise<boolean> {
    const { clock, log, leadership } = this.#options;
    this.#timer?.cancel();
    for (let group = this.#book.plan(); group !== undefined; group = this.#book.plan()) {
      const results: BatchResult[] = [];
      await this.#committer.commit([group], (result) => results.push(result));
      if (leadership.ended.aborted) return false;
      if (results.every((result) => result.committed)) {
        for (const { message, objectName } of group.events) log.warn(`a node: ${message}`, { node: objectName });
        continue;
      }
      log.warn('the watch over nodes could not be written; trying again', { reason: results[0]?.error?.message ?? 'it changed meanwhile' });
      this.#book.retry();
      await sleep(clock, RETRY_MS, leadership.ended).catch(() => undefined);
    }
    const { wakeAtMs } = this.#book;
    if (wakeAtMs !== undefined) this.#timer = clock.after(wakeAtMs - clock.nowMs(), this.#wakeUp);
    return !leadership.ended.aborted;
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
