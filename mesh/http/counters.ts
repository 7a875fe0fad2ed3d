// Plain numbers that the http path counts in; mesh/http/metrics.ts shows them.

export interface RouteCounters {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  service: string;
  /** Requests that have ended, by the first digit of their answer's status (1: upgraded); 0: the client left before an answer. */
  readonly byClass: number[];
  /** Time from a request's head to the end of its answer: how many took at most so long as DURATION_BUCKETS_MS says, and more (last). Upgraded ones are not among them. */
  readonly byDuration: number[];
  durationSumMs: number;
  /** Open now, waiting ones included. */
  open: number;
  /** Waiting for a replica now. */
  held: number;
  /** Attempts beyond the first, of any request. */
  retries: number;
  /** Attempts that a replica refused, left unanswered, or broke off before an answer. */
  replicaFailures: number;
  /** 503: no replica in time. */
  noReplica: number;
  /** 503: too many open or waiting. */
  overLimit: number;
  /** Cut off because nothing moved. */
  idleClosed: number;
}

export interface HttpPortCounters {
  connections: number;
  /** Beyond what the port takes at a time. */
  overLimit: number;
  /** Requests that were refused before they had a route: malformed, ambiguous, too large, too slow. */
  badRequests: number;
  /** TLS connections that did not come about. */
  badHandshakes: number;
  /** Requests for a host and path that no service has. */
  unknown: number;
  acceptErrors: number;
}

export interface HttpNumbers {
  /** By published port. */
  readonly portCounters: ReadonlyMap<number, Readonly<HttpPortCounters>>;
  /** By the name of the route (`portKeyOf`). */
  readonly routeCounters: ReadonlyMap<string, Readonly<RouteCounters>>;
}

export const DURATION_BUCKETS_MS: readonly number[] = [5, 25, 100, 500, 2500, 10_000];

export function newRouteCounters(port: number, host: string, path: string): RouteCounters {
  return {
    port,
    host,
    path,
    service: '',
    byClass: [0, 0, 0, 0, 0, 0],
    byDuration: Array.from({ length: DURATION_BUCKETS_MS.length + 1 }, () => 0),
    durationSumMs: 0,
    open: 0,
    held: 0,
    retries: 0,
    replicaFailures: 0,
    noReplica: 0,
    overLimit: 0,
    idleClosed: 0,
  };
}

export function newHttpPortCounters(): HttpPortCounters {
  return { connections: 0, overLimit: 0, badRequests: 0, badHandshakes: 0, unknown: 0, acceptErrors: 0 };
}

/** `status`: 0 where the client left before there was one. `durationMs`: undefined for an upgraded connection. */
export function countEnd(counters: RouteCounters, status: number, durationMs: number | undefined): void {
  const digit = Math.floor(status / 100);
  counters.byClass[digit] = (counters.byClass[digit] ?? 0) + 1;
  if (durationMs === undefined) return;
  counters.durationSumMs += durationMs;
  const bucket = DURATION_BUCKETS_MS.findIndex((mostMs) => durationMs <= mostMs);
  const at = bucket < 0 ? DURATION_BUCKETS_MS.length : bucket;
  counters.byDuration[at] = (counters.byDuration[at] ?? 0) + 1;
}
