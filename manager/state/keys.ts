// The key layout of architecture.md, in one place. It is wire format: what is written here is read by later versions.
import { PortProtocol } from '../../proto/index.ts';

/** What precedes a row's id in its key; tables without a slash hold one row, whose id is ''. */
export const TABLE_PREFIXES = {
  cluster: 'cluster',
  services: 'services/',
  specs: 'specs/',
  serviceStatus: 'service-status/',
  rebalance: 'rebalance/',
  tasks: 'tasks/',
  slots: 'slots/',
  taskStatus: 'task-status/',
  nodes: 'nodes/',
  sessions: 'sessions/',
  nodeStatus: 'node-status/',
  removedNodes: 'removed-nodes/',
  routeAcks: 'route-acks/',
  routeFloor: 'route-floor',
  byName: 'by-name/',
  byPort: 'by-port/',
  managers: 'managers/',
  leader: 'leader',
  nodeWatch: 'node-watch',
  events: 'events/',
  eventFloor: 'event-floor',
} as const;

export type TableName = keyof typeof TABLE_PREFIXES;

export function keyOf(table: TableName, id: string): string {
  return TABLE_PREFIXES[table] + id;
}

const TABLE_OF_PREFIX = new Map(Object.entries(TABLE_PREFIXES).map(([table, prefix]) => [prefix as string, table as TableName]));

/** Table and id of a key; undefined for a key of a later version. */
export function parseKey(key: string): { readonly table: TableName; readonly id: string } | undefined {
  const end = key.indexOf('/') + 1;
  const prefix = end === 0 ? key : key.slice(0, end);
  const table = TABLE_OF_PREFIX.get(prefix);
  return table === undefined ? undefined : { table, id: end === 0 ? '' : key.slice(end) };
}

export function specId(serviceId: string, number: number): string {
  return `${serviceId}/${number}`;
}

/** `slot` is a number for replicated, a node id for global services. */
export function slotId(serviceId: string, slot: number | string): string {
  return `${serviceId}/${slot}`;
}

export function nameId(kind: 'service', name: string): string {
  return `${kind}/${name}`;
}

/** HTTP ports are TCP ports of the host. */
export function portId(protocol: PortProtocol, port: number): string {
  return `${protocol === PortProtocol.UDP ? 'udp' : 'tcp'}/${port}`;
}
