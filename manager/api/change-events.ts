// Events of the API's own changes: written in the transaction of the change, so that there is one if and only if it was made.
import type { Event } from '../../proto/index.ts';
import type { TransactionBuilder } from '../state/index.ts';
import type { ApiContext } from './context.ts';

/** Adds one event row. Ids sort by the time they were made; the row's create revision is what orders events for readers. */
export function addEvent(builder: TransactionBuilder, { clock, ids }: ApiContext, event: Omit<Event, 'timeUnixMs'>): void {
  const timeUnixMs = clock.wallMs();
  builder.event(`${String(timeUnixMs).padStart(14, '0')}-${ids.next().slice(0, 12)}`, [{ ...event, timeUnixMs }]);
}
