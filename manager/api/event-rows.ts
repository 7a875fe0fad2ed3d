// The rows of the ring for one reader: those asked for that are kept, then those that come; each once, by rising revision.
import { ShoalError } from '../../lib/errors.ts';
import { BoundedQueue } from '../../lib/queue.ts';
import type { EventFloor, EventRecord, WatchEventsRequest } from '../../proto/index.ts';
import type { ClusterState, Row } from '../state/index.ts';

/** Rows that wait for a slow reader before it is told to come back. */
const MAX_WAITING_ROWS = 10_000;

export interface EventRows {
  readonly queue: BoundedQueue<Row<EventRecord>>;
  /** Everything after it comes. */
  readonly startRevision: number;
  /** Set where the reader wants events from before the first that is kept. */
  readonly keptSinceUnixMs: number;
  end(): void;
}

/** Throws `compacted` where rows after `sinceRevision` are gone. */
export function eventRows(state: ClusterState, request: WatchEventsRequest): EventRows {
  const { sinceRevision, sinceUnixMs, untilRevision } = request;
  const floor = (): EventFloor | undefined => state.get('eventFloor', '')?.value;
  const isPast = sinceRevision > 0 || sinceUnixMs > 0;
  if (sinceRevision > 0 && sinceRevision < (floor()?.revision ?? 0)) throw gone(state, sinceRevision);
  const startRevision = !isPast ? state.revision : Math.max(sinceRevision, floor()?.revision ?? 0);

  const queue = new BoundedQueue<Row<EventRecord>>(MAX_WAITING_ROWS);
  /** Own commits are known before revisions of others that come first: they wait here until the state is there. */
  let ahead: Row<EventRecord>[] = [];
  let lastRevision = startRevision;
  const deliver = (): void => {
    const due = ahead.filter((row) => row.createRevision <= state.revision).sort(byRevision);
    ahead = ahead.filter((row) => row.createRevision > state.revision);
    for (const row of due) {
      if (!queue.push(row)) {
        const message = `events come faster than they are read; go on from revision ${lastRevision}`;
        queue.fail(new ShoalError('resource_exhausted', message, { retryable: true }));
        return;
      }
      lastRevision = row.createRevision;
    }
    // Rows may have come and gone while this manager was cut off from the store.
    const known = Math.max(lastRevision, ...ahead.map((row) => row.createRevision));
    if ((floor()?.revision ?? 0) > known) queue.fail(gone(state, lastRevision));
    else if (untilRevision > 0 && state.revision >= untilRevision) queue.end();
  };
  const unsubscribe = state.subscribe((changes) => {
    for (const change of changes) {
      if (change.table === 'events' && change.after !== undefined && change.after.createRevision > startRevision) ahead.push(change.after);
    }
    deliver();
  });
  ahead = [...state.all('events')].filter((row) => row.createRevision > lastRevision);
  deliver();
  const lostUnixMs = floor()?.timeUnixMs ?? 0;
  return {
    queue,
    startRevision,
    keptSinceUnixMs: sinceRevision === 0 && sinceUnixMs > 0 && sinceUnixMs <= lostUnixMs ? lostUnixMs + 1 : 0,
    end() {
      unsubscribe();
      queue.end();
    },
  };
}

function gone(state: ClusterState, sinceRevision: number): ShoalError {
  const floor = state.get('eventFloor', '')?.value.revision ?? 0;
  const first = Math.min(...[...state.all('events')].map((row) => row.createRevision));
  const there = Number.isFinite(first) ? `the first that is still there is of revision ${first}` : 'none is there at present';
  return new ShoalError(
    'compacted',
    `events after revision ${sinceRevision} are no longer all kept: those up to revision ${floor} are gone, ${there}; ` +
      `go on with --since ${floor}, and look at the services themselves for what was missed`,
  );
}

function byRevision(one: Row<EventRecord>, other: Row<EventRecord>): number {
  return one.createRevision - other.createRevision;
}
