// The http path's numbers as Prometheus metrics, read when asked for. Loaded only by a mesh that serves them.
import { Counter, Gauge, type Metric, type Registry } from 'prom-client';
import { DURATION_BUCKETS_MS, type HttpNumbers, type HttpPortCounters, type RouteCounters } from './counters.ts';

/** Routes with labels of their own; those beyond share one, so that a table of thousands of rules cannot flood whoever scrapes. */
const MAX_ROUTE_LABELS = 500;
const ROUTE_LABELS = ['port', 'service', 'host', 'path'] as const;
type Labels = Record<(typeof ROUTE_LABELS)[number], string>;
const OTHERS: Labels = { port: 'other', service: '', host: '', path: '' };
const CLASSES = ['aborted', '1xx', '2xx', '3xx', '4xx', '5xx'];
const DURATION = { name: 'shoal_mesh_http_request_duration_seconds', help: "From a request's head to the end of its answer" };

type Numeric<T> = { [K in keyof T]: T[K] extends number ? K : never }[keyof T];
type Shown<T> = Readonly<Record<string, readonly [key: Numeric<T>, help: string, gauge?: true]>>;

const OF_ROUTES: Shown<RouteCounters> = {
  shoal_mesh_http_open_requests: ['open', 'Requests and upgraded connections open now', true],
  shoal_mesh_http_held_requests: ['held', 'Requests that wait for a replica now', true],
  shoal_mesh_http_retries_total: ['retries', 'Attempts beyond the first to find a request a replica'],
  shoal_mesh_http_replica_failures_total: ['replicaFailures', 'Attempts that a replica refused, left unanswered or broke off'],
  shoal_mesh_http_no_replica_total: ['noReplica', 'Requests answered 503 because no replica took them in time'],
  shoal_mesh_http_over_limit_total: ['overLimit', 'Requests answered 503 because too many were open or waiting'],
  shoal_mesh_http_idle_closed_total: ['idleClosed', 'Requests and upgraded connections cut off because nothing moved'],
};

const OF_PORTS: Shown<HttpPortCounters> = {
  shoal_mesh_http_connections_total: ['connections', 'Client connections accepted'],
  shoal_mesh_http_refused_connections_total: ['overLimit', 'Client connections closed because too many were open'],
  shoal_mesh_http_bad_requests_total: ['badRequests', 'Requests refused as malformed, ambiguous, too large or too slow'],
  shoal_mesh_http_bad_handshakes_total: ['badHandshakes', 'TLS connections that did not come about'],
  shoal_mesh_http_unknown_total: ['unknown', 'Requests answered 404 because no service has their host and path'],
  shoal_mesh_http_accept_errors_total: ['acceptErrors', 'Times the system refused to accept'],
};

export function registerHttpMetrics(registry: Registry, numbers: HttpNumbers): void {
  for (const [name, [key, help, gauge]] of Object.entries(OF_ROUTES)) {
    const metric = metricOf(registry, name, help, ROUTE_LABELS, gauge);
    onCollect(metric, () => {
      for (const [labels, route] of labelled(numbers)) metric.inc(labels, route[key]);
    });
  }
  for (const [name, [key, help, gauge]] of Object.entries(OF_PORTS)) {
    const metric = metricOf(registry, name, help, ['port'], gauge);
    onCollect(metric, () => {
      for (const [port, counters] of numbers.portCounters) metric.inc({ port: String(port) }, counters[key]);
    });
  }
  const requests = metricOf(registry, 'shoal_mesh_http_requests_total', 'Requests that have ended, by the class of their answer', [
    ...ROUTE_LABELS,
    'class',
  ]);
  onCollect(requests, () => {
    for (const [labels, route] of labelled(numbers)) {
      for (const [digit, count] of route.byClass.entries()) requests.inc({ ...labels, class: CLASSES[digit] ?? 'other' }, count);
    }
  });
  // prom-client's own histogram takes single observations only; these are counted already.
  const duration = {
    ...DURATION,
    get: () => Promise.resolve({ ...DURATION, type: 'histogram', aggregator: 'sum', values: durations(numbers) }),
  };
  registry.registerMetric(duration as unknown as Metric);
}

function metricOf<T extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly T[],
  gauge?: true,
): Gauge<T> | Counter<T> {
  const configuration = { name, help, labelNames, registers: [registry] };
  return gauge === true ? new Gauge(configuration) : new Counter(configuration);
}

function onCollect(metric: { reset(): void }, collect: () => void): void {
  (metric as { collect?: () => void }).collect = () => {
    metric.reset();
    collect();
  };
}

function* labelled({ routeCounters }: HttpNumbers): Generator<readonly [Labels, Readonly<RouteCounters>]> {
  let labels = 0;
  for (const route of routeCounters.values()) {
    const { port, service, host, path } = route;
    yield [labels++ < MAX_ROUTE_LABELS ? { port: String(port), service, host, path } : OTHERS, route];
  }
}

function durations(numbers: HttpNumbers): readonly object[] {
  const sums = new Map<string, { readonly labels: Labels; readonly buckets: number[]; sumMs: number }>();
  for (const [labels, route] of labelled(numbers)) {
    const name = JSON.stringify(labels);
    const sum = sums.get(name) ?? { labels, buckets: route.byDuration.map(() => 0), sumMs: 0 };
    sums.set(name, sum);
    sum.sumMs += route.durationSumMs;
    for (const [at, count] of route.byDuration.entries()) sum.buckets[at] = (sum.buckets[at] ?? 0) + count;
  }
  return [...sums.values()].flatMap(({ labels, buckets, sumMs }) => {
    let count = 0;
    const values: object[] = buckets.map((of, at) => {
      count += of;
      const mostMs = DURATION_BUCKETS_MS[at];
      return {
        metricName: `${DURATION.name}_bucket`,
        labels: { ...labels, le: mostMs === undefined ? '+Inf' : String(mostMs / 1000) },
        value: count,
      };
    });
    values.push(
      { metricName: `${DURATION.name}_sum`, labels, value: sumMs / 1000 },
      { metricName: `${DURATION.name}_count`, labels, value: count },
    );
    return values;
  });
}
