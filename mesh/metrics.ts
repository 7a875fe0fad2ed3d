// The mesh's counters as Prometheus metrics, read when asked for. Loaded only by a mesh that serves them.
import { Gauge, Counter, type Registry } from 'prom-client';
import { type MeshCounters } from './mesh.ts';
import { type PortCounters } from './tcp/counters.ts';
import { type UdpCounters } from './udp/counters.ts';

/** Ports with a label of their own; those beyond share one, so that a table of thousands of ports cannot flood whoever scrapes. */
const MAX_PORT_LABELS = 500;
const OTHERS = 'other';

type Shown<C> = Readonly<Record<keyof C & string, { readonly name: string; readonly help: string; readonly gauge?: true }>>;

const TCP: Shown<PortCounters> = {
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

const UDP: Shown<UdpCounters> = {
  flows: { name: 'shoal_mesh_udp_flows_total', help: 'UDP flows begun' },
  open: { name: 'shoal_mesh_udp_open_flows', help: 'UDP flows open now', gauge: true },
  datagramsFromClients: { name: 'shoal_mesh_udp_datagrams_from_clients_total', help: 'Datagrams that came from clients' },
  bytesFromClients: { name: 'shoal_mesh_udp_bytes_from_clients_total', help: 'Bytes in datagrams from clients' },
  datagramsToClients: { name: 'shoal_mesh_udp_datagrams_to_clients_total', help: 'Datagrams sent to clients' },
  bytesToClients: { name: 'shoal_mesh_udp_bytes_to_clients_total', help: 'Bytes in datagrams to clients' },
  moved: { name: 'shoal_mesh_udp_moved_flows_total', help: 'Flows given another replica, because theirs was gone or refused' },
  expired: { name: 'shoal_mesh_udp_expired_flows_total', help: 'Flows forgotten because nothing moved' },
  evicted: { name: 'shoal_mesh_udp_evicted_flows_total', help: 'Flows given up, the quietest first, because too many were open' },
  replicaFailures: { name: 'shoal_mesh_udp_replica_failures_total', help: 'Times that nobody listened at the address of a replica' },
  droppedNoReplica: { name: 'shoal_mesh_udp_dropped_no_replica_total', help: 'Datagrams dropped because there was no replica' },
  droppedNoSocket: { name: 'shoal_mesh_udp_dropped_no_socket_total', help: 'Datagrams dropped because no socket or local port was left' },
  droppedQueueFull: { name: 'shoal_mesh_udp_dropped_queue_full_total', help: 'Datagrams dropped because too many waited to be sent' },
  droppedUnsent: { name: 'shoal_mesh_udp_dropped_unsent_total', help: 'Datagrams that the system refused to send' },
};

export function registerMetrics(registry: Registry, counters: () => MeshCounters): void {
  register(registry, TCP, () => counters().tcp);
  register(registry, UDP, () => counters().udp);
}

function register<C extends Readonly<Record<keyof C, number>>>(
  registry: Registry,
  shown: Shown<C>,
  counters: () => ReadonlyMap<number, C>,
): void {
  for (const key of Object.keys(shown) as (keyof C & string)[]) {
    const { name, help, gauge } = shown[key];
    const configuration = { name, help, labelNames: ['port'], registers: [registry] };
    const metric = gauge === true ? new Gauge(configuration) : new Counter(configuration);
    // prom-client calls it before it reads the values; the numbers are ours, so they are set anew each time.
    (metric as { collect?: () => void }).collect = () => {
      metric.reset();
      for (const [port, sum] of byLabel(counters(), key)) metric.labels(port).inc(sum);
    };
  }
}

function byLabel<C extends Readonly<Record<keyof C, number>>>(counters: ReadonlyMap<number, C>, key: keyof C): Map<string, number> {
  const sums = new Map<string, number>();
  let labels = 0;
  for (const [port, numbers] of counters) {
    const label = labels++ < MAX_PORT_LABELS ? String(port) : OTHERS;
    sums.set(label, (sums.get(label) ?? 0) + numbers[key]);
  }
  return sums;
}
