// WatchEvents: what is kept first, then what comes, in the order of revisions and without a gap between the two.
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { CallContext } from '../../lib/rpc/index.ts';
import { type Event, type EventList, EventList as List, type WatchEventsRequest } from '../../proto/index.ts';
import { eventsOf } from '../events/index.ts';
import type { ApiContext } from './context.ts';
import { hostnameOf } from './task-names.ts';
import { eventRows } from './event-rows.ts';
import { compileFilters, type FilterKeys, matchesLabel } from './filters.ts';
import { reachRevision } from './revision.ts';
import type { StateView } from '../state/index.ts';
import { streamWriter } from './stream-writer.ts';

/** A reader whose filters let nothing through is told how far it has come after so many rows, so that it need not go on from long ago. */
const TELL_EVERY_ROWS = 500;
const TYPES = ['service', 'task', 'node', 'cluster'];

function filtersFor(state: StateView): FilterKeys<Event> {
  return {
    type: { matches: (event, value) => event.type === value, values: TYPES },
    event: { matches: (event, value) => event.action === value || event.attributes['state'] === value },
    service: { matches: (event, value) => isAbout(event, 'service', value) },
    // Tasks name their node by its id, people by its name.
    node: { matches: (event, value) => isAbout(event, 'node', value) || hostnameOf(state, nodeIdOf(event)) === value },
    task: { matches: (event, value) => isAbout(event, 'task', value) },
    label: { matches: (event, value) => matchesLabel(event.attributes, value) },
  };
}

function nodeIdOf({ attributes }: Event): string {
  return attributes['node.id'] ?? '';
}

/** The object itself, or one that the attributes name as "service", "service.id" or "service.name". */
function isAbout(event: Event, type: string, value: string): boolean {
  if (event.type === type && (event.objectName === value || event.objectId.startsWith(value))) return true;
  const { attributes } = event;
  return attributes[type] === value || attributes[`${type}.name`] === value || attributes[`${type}.id`]?.startsWith(value) === true;
}

/**
 * Ends when `untilUnixMs` has passed, or with the events of `untilRevision`. Errors: `compacted` where events after `sinceRevision` are no longer
 * kept; `resource_exhausted` for a reader that is too slow; both with where to go on.
 */
export async function watchEvents(
  { state, clock }: ApiContext,
  request: WatchEventsRequest,
  call: ServerWritableStream<WatchEventsRequest, EventList | Uint8Array>,
  { signal }: CallContext,
): Promise<void> {
  const matches = compileFilters(request.filters, filtersFor(state));
  const { sinceRevision, sinceUnixMs, untilUnixMs, untilRevision } = request;
  await reachRevision(state, sinceRevision);
  const rows = eventRows(state, request);
  const timer = untilUnixMs === 0 ? undefined : clock.after(Math.max(0, untilUnixMs - clock.wallMs()), () => rows.end());
  const onAbort = (): void => rows.end();
  signal.addEventListener('abort', onAbort, { once: true });
  const write = streamWriter<EventList>(call, signal);
  let skipped = 0;
  try {
    await write(List.create({ revision: rows.startRevision, keptSinceUnixMs: rows.keptSinceUnixMs }));
    for await (const row of rows.queue) {
      const events = eventsOf(row.value).filter(
        (event) => event.timeUnixMs >= sinceUnixMs && (untilUnixMs === 0 || event.timeUnixMs <= untilUnixMs) && matches(event),
      );
      if (untilRevision > 0 && row.createRevision > untilRevision) return;
      skipped = events.length > 0 ? 0 : skipped + 1;
      if (events.length > 0 || skipped % TELL_EVERY_ROWS === TELL_EVERY_ROWS - 1)
        await write(List.create({ revision: row.createRevision, events }));
    }
  } finally {
    timer?.cancel();
    signal.removeEventListener('abort', onAbort);
    rows.end();
  }
}
