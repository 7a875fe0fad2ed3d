// Events are kept in a ring with bounds in number and bytes; the leader removes the oldest rows beyond them, and notes up to where they are gone:
// a reader that wants to go on from an earlier revision is told so.
import type { EventRecord } from '../../proto/index.ts';
import { type Change, type Row, type StateView, TransactionBuilder } from '../state/index.ts';

const MAX_ROWS = 10_000;
const MAX_BYTES = 8 * 1024 * 1024;
/** Removed at once, so that trimming is not a transaction per event. */
const BATCH_ROWS = 100;

/** Rows go in the order of their revisions, which is the order in which they are read. */
export class EventRing {
  readonly #state: StateView;
  readonly #maxRows: number;
  #bytes = 0;
  #rows = 0;

  constructor(state: StateView, maxRows = MAX_ROWS) {
    this.#state = state;
    this.#maxRows = maxRows;
    for (const row of state.all('events')) this.#count(row, 1);
  }

  note(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.table !== 'events') continue;
      if (change.before !== undefined) this.#count(change.before, -1);
      if (change.after !== undefined) this.#count(change.after, 1);
    }
  }

  /** The transaction that removes the oldest rows, or undefined while there is room. */
  trim(): TransactionBuilder | undefined {
    if (this.#rows < this.#maxRows + BATCH_ROWS && this.#bytes < MAX_BYTES) return undefined;
    const oldest = [...this.#state.all('events')].sort((a, b) => a.createRevision - b.createRevision).slice(0, BATCH_ROWS);
    const builder = new TransactionBuilder();
    for (const row of oldest) builder.delete('events', row);
    const last = oldest.at(-1);
    if (last !== undefined) builder.overwrite('eventFloor', '', { revision: last.createRevision, timeUnixMs: timeOf(last.value) });
    return builder;
  }

  #count(row: Row<EventRecord>, sign: 1 | -1): void {
    this.#rows += sign;
    this.#bytes += sign * sizeOf(row.value);
  }
}

function timeOf({ events, tasks }: EventRecord): number {
  return Math.max(0, ...events.map(({ timeUnixMs }) => timeUnixMs), ...tasks.map(({ timeUnixMs }) => timeUnixMs));
}

/** About what a record takes when it is encoded, which would cost more than it is worth. */
const FIXED_BYTES = 32;
const CHANGE_BYTES = 64;

function sizeOf({ events, tasks }: EventRecord): number {
  let bytes = 0;
  for (const { objectId, objectName, message, attributes } of events) {
    bytes += FIXED_BYTES + objectId.length + objectName.length + message.length;
    for (const [key, value] of Object.entries(attributes)) bytes += key.length + value.length;
  }
  for (const { changes } of tasks) {
    for (const { reason } of changes) bytes += CHANGE_BYTES + reason.length;
  }
  return bytes;
}
