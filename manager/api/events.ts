// WatchEvents: what is kept first, then what comes, in the order of revisions and without a gap between the two.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { ShoalError } from '../../lib/errors.ts';
import { BoundedQueue } from '../../lib/queue.ts';
import type { CallContext } from '../../lib/rpc/index.ts';
import { type Event, type EventList, type EventRecord, type WatchEventsRequest } from '../../proto/index.ts';
import type { ClusterState, Row } from '../state/index.ts';
import type { ApiContext } from './context.ts';
import { compileFilters, type FilterKeys, matchesLabel } from './filters.ts';
import { streamWriter } from './stream-writer.ts';

/** Rows that wait for a slow reader before it is told to come back. */
const MAX_WAITING_ROWS = 10_000;
const TYPES = ['service', 'task', 'node', 'cluster'];

const FILTERS: FilterKeys<Event> = {
  type: { matches: (event, value) => event.type === value, values: TYPES },
  event: { matches: (event, value) => event.action === value },
  service: { matches: (event, value) => isAbout(event, 'service', value) },
  node: { matches: (event, value) => isAbout(event, 'node', value) },
  label: { matches: (event, value) => matchesLabel(event.attributes, value) },
};

/** The object itself, or one that the attributes name as "service", "service.id" or "service.name". */
function isAbout(event: Event, type: string, value: string): boolean {
  if (event.type === type && (event.objectName === value || event.objectId.startsWith(value))) return true;
  const { attributes } = event;
  return attributes[type] === value || attributes[`${type}.name`] === value || attributes[`${type}.id`]?.startsWith(value) === true;
}

/** Ends when `untilUnixMs` has passed. Errors: `resource_exhausted` for a reader that is too slow, with where to go on. */
export async function watchEvents(
  { state, clock }: ApiContext,
  request: WatchEventsRequest,
  call: ServerWritableStream<WatchEventsRequest, EventList | Uint8Array>,
  { signal }: CallContext,
): Promise<void> {
  const matches = compileFilters(request.filters, FILTERS);
  const { sinceUnixMs, untilUnixMs } = request;
  const rows = eventRows(state, request);
  const timer = untilUnixMs === 0 ? undefined : clock.after(Math.max(0, untilUnixMs - clock.wallMs()), () => rows.end());
  const onAbort = (): void => rows.end();
  signal.addEventListener('abort', onAbort, { once: true });
  const write = streamWriter<EventList>(call, signal);
  try {
    for await (const row of rows.queue) {
      const events = row.value.events.filter(
        (event) => event.timeUnixMs >= sinceUnixMs && (untilUnixMs === 0 || event.timeUnixMs <= untilUnixMs) && matches(event),
      );
      if (events.length > 0) await write({ revision: row.createRevision, events });
    }
  } finally {
    timer?.cancel();
    signal.removeEventListener('abort', onAbort);
    rows.end();
  }
}

interface EventRows {
  readonly queue: BoundedQueue<Row<EventRecord>>;
  end(): void;
}

/** Rows asked for that are kept, then those that come; each once, by rising revision. */
function eventRows(state: ClusterState, { sinceRevision, sinceUnixMs }: WatchEventsRequest): EventRows {
  const queue = new BoundedQueue<Row<EventRecord>>(MAX_WAITING_ROWS);
  /** Own commits are known before revisions of others that come first: they wait here until the state is there. */
  let ahead: Row<EventRecord>[] = [];
  let lastRevision = sinceRevision > 0 || sinceUnixMs > 0 ? sinceRevision : state.revision;
  const deliver = (): void => {
    const due = ahead.filter((row) => row.createRevision <= state.revision).sort(byRevision);
    if (due.length === 0) return;
    ahead = ahead.filter((row) => row.createRevision > state.revision);
    for (const row of due) {
      if (!queue.push(row)) {
        queue.fail(
          new ShoalError('resource_exhausted', `events come faster than they are read; go on from revision ${lastRevision}`, {
            retryable: true,
          }),
        );
        return;
      }
      lastRevision = row.createRevision;
    }
  };
  const unsubscribe = state.subscribe((changes) => {
    for (const change of changes) {
      if (change.table === 'events' && change.after !== undefined) ahead.push(change.after);
    }
    deliver();
  });
  ahead = [...state.all('events')].filter((row) => row.createRevision > lastRevision);
  deliver();
  return {
    queue,
    end() {
      unsubscribe();
      queue.end();
    },
  };
}

function byRevision(one: Row<EventRecord>, other: Row<EventRecord>): number {
  return one.createRevision - other.createRevision;
}
