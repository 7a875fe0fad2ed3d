// The newest revisions with their events, for watches that start in the past. One entry per revision, without holes, bounded.
import type { Revision, WatchEvent } from '../store.ts';

export interface HistoryLimits {
  readonly maxRevisions: number;
  /** Sum of keys and values of the events kept. */
  readonly maxBytes: number;
}

interface Entry {
  readonly events: readonly WatchEvent[];
  readonly bytes: number;
}

export class History {
  readonly #limits: HistoryLimits;
  /** Entries before #start are gone; they are cut off in bulk. */
  #entries: Entry[] = [];
  #start = 0;
  #bytes = 0;
  #next: Revision;

  /** `revision` is the last one before the history begins. */
  constructor(revision: Revision, limits: HistoryLimits) {
    this.#next = revision + 1;
    this.#limits = limits;
  }

  /** The oldest revision that is still kept, or the next one to come. */
  get first(): Revision {
    return this.#next - (this.#entries.length - this.#start);
  }

  /** The revision that comes next. */
  get next(): Revision {
    return this.#next;
  }

  append(events: readonly WatchEvent[]): void {
    const bytes = events.reduce((sum, event) => sum + bytesOf(event), 0);
    this.#entries.push({ events, bytes });
    this.#bytes += bytes;
    this.#next += 1;
    while (this.#entries.length - this.#start > this.#limits.maxRevisions || this.#bytes > this.#limits.maxBytes) this.#dropFirst();
    this.#release();
  }

  /** Undefined where the revision is not kept. */
  at(revision: Revision): readonly WatchEvent[] | undefined {
    if (revision < this.first) return undefined;
    return this.#entries[this.#start + revision - this.first]?.events;
  }

  /** Drops what is older than `revision`. */
  compact(revision: Revision): void {
    while (this.first < revision && this.#start < this.#entries.length) this.#dropFirst();
    this.#release();
  }

  #dropFirst(): void {
    this.#bytes -= this.#entries[this.#start]?.bytes ?? 0;
    this.#start += 1;
  }

  #release(): void {
    if (this.#start < 1024 && this.#start < this.#entries.length) return;
    if (this.#start * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#start);
    this.#start = 0;
  }
}

/** Keys are mostly ASCII; this is a bound on memory, not an account. */
function bytesOf(event: WatchEvent): number {
  return event.type === 'put' ? event.item.key.length + event.item.value.length : event.key.length;
}
