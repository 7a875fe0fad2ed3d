// What goes up besides heartbeats, in the order of its worth: resync, statuses, route reports, description. Each is a latest value, not a queue,
// so that a slow manager costs no memory; nothing is written while the stream has no room.
import type { NodeDescription, RouteReport, StatusBatch } from '../../proto/index.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { ManagerLink } from './manager-link.ts';

export interface UplinkSources {
  /** The next batch of statuses, or undefined. */
  readonly statuses: () => StatusBatch | undefined;
  readonly routes: () => RouteReport;
  readonly description: () => NodeDescription;
}

export interface Uplink {
  /** A session began: all is sent anew. */
  restart(): void;
  statusesChanged(): void;
  routesChanged(): void;
  descriptionChanged(): void;
  resync(what: { readonly assignments?: boolean; readonly routes?: boolean }): void;
  /** The stream has room. */
  pump(): void;
  stop(): void;
}

/** Changes within this time of a batch share the next one; a lone change goes at once. */
const BATCH_WINDOW_MS = 15;

export function uplink(link: Pick<ManagerLink, 'session' | 'send'>, sources: UplinkSources, clock: Clock): Uplink {
  const owed = { assignments: false, tables: false, routes: true, description: false };
  let timer: Timer | undefined;
  let sentMs = -BATCH_WINDOW_MS;

  const schedule = (): void => {
    timer ??= clock.after(Math.max(0, sentMs + BATCH_WINDOW_MS - clock.nowMs()), () => {
      timer = undefined;
      pump();
    });
  };
  const writable = (): boolean => link.session()?.writable() ?? false;
  const pump = (): void => {
    if (!writable()) return;
    if (owed.assignments || owed.tables) {
      const value = { assignments: owed.assignments, routes: owed.tables };
      owed.assignments = false;
      owed.tables = false;
      link.send({ message: { case: 'resync', value } });
    }
    while (writable()) {
      const value = sources.statuses();
      if (value === undefined) break;
      sentMs = clock.nowMs();
      link.send({ message: { case: 'statuses', value } });
    }
    if (owed.routes && writable()) {
      owed.routes = false;
      sentMs = clock.nowMs();
      link.send({ message: { case: 'routes', value: sources.routes() } });
    }
    if (owed.description && writable()) {
      owed.description = false;
      link.send({ message: { case: 'description', value: sources.description() } });
    }
  };
  return {
    restart() {
      owed.assignments = false;
      owed.tables = false;
      owed.routes = true;
      // Register carried it.
      owed.description = false;
      schedule();
    },
    statusesChanged: schedule,
    routesChanged() {
      owed.routes = true;
      schedule();
    },
    descriptionChanged() {
      owed.description = true;
      schedule();
    },
    resync(what) {
      owed.assignments ||= what.assignments === true;
      owed.tables ||= what.routes === true;
      schedule();
    },
    pump,
    stop() {
      timer?.cancel();
    },
  };
}
