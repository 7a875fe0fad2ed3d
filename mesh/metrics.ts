// The mesh's counters as Prometheus metrics, read when asked for. Loaded only by a mesh that serves them.
import { Gauge, Counter, type Registry } from 'prom-client';
import { type PortCounters } from './tcp/counters.ts';

/** Ports with a label of their own; those beyond share one, so that a table of thousands of ports cannot flood whoever scrapes. */
const MAX_PORT_LABELS = 500;
const OTHERS = 'other';

const SHOWN: Readonly<Record<keyof PortCounters, { readonly name: string; readonly help: string; readonly gauge?: true }>> = {
  connections: { name: 'shoal_mesh_connections_total', help: 'Connections accepted' },
  open: { name: 'shoal_mesh_open_connections', help: 'Connections open now', gauge: true },
  bytesFromClients: { name: 'shoal_mesh_bytes_from_clients_total', help: 'Bytes carried from clients to replicas' },
  bytesToClients: { name: 'shoal_mesh_bytes_to_clients_total', help: 'Bytes carried from replicas to clients' },
  retries: { name: 'shoal_mesh_retries_total', help: 'Attempts beyond the first to find a client a replica' },
  replicaFailures: {
    name: 'shoal_mesh_replica_failures_total',
    help: 'Attempts that a replica refused, left unanswered or ended before a byte',
  },
  noReplica: { name: 'shoal_mesh_no_replica_total', help: 'Clients reset because no replica took them in time' },
  overLimit: { name: 'shoal_mesh_over_limit_total', help: 'Clients reset because too many were open or waiting' },
  badHeaders: { name: 'shoal_mesh_bad_proxy_headers_total', help: 'Connections of trusted sources reset for want of a PROXY header' },
  idleClosed: { name: 'shoal_mesh_idle_closed_total', help: 'Connections closed because nothing moved' },
  acceptErrors: { name: 'shoal_mesh_accept_errors_total', help: 'Times the system refused to accept' },
};

export function registerMetrics(registry: Registry, counters: () => ReadonlyMap<number, Readonly<PortCounters>>): void {
  for (const key of Object.keys(SHOWN) as (keyof PortCounters)[]) {
    const { name, help, gauge } = SHOWN[key];
    const configuration = { name, help, labelNames: ['port'], registers: [registry] };
    const metric = gauge === true ? new Gauge(configuration) : new Counter(configuration);
    // prom-client calls it before it reads the values; the numbers are ours, so they are set anew each time.
    (metric as { collect?: () => void }).collect = () => {
      metric.reset();
      for (const [port, sum] of byLabel(counters(), key)) metric.labels(port).inc(sum);
    };
  }
}

function byLabel(counters: ReadonlyMap<number, Readonly<PortCounters>>, key: keyof PortCounters): Map<string, number> {
  const sums = new Map<string, number>();
  let labels = 0;
  for (const [port, numbers] of counters) {
    const label = labels++ < MAX_PORT_LABELS ? String(port) : OTHERS;
    sums.set(label, (sums.get(label) ?? 0) + numbers[key]);
  }
  return sums;
}
