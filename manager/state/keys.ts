// The key layout of architecture.md, in one place. It is wire format: what is written here is read by later versions.
import type { PortProtocol } from '../../proto/index.ts';
import { PortProtocol as Protocols } from '../../proto/index.ts';

/** Tables with one message type each, keyed by what follows the name. */
export const TABLE_PREFIXES = {
  services: 'services/',
  specs: 'specs/',
  serviceStatus: 'service-status/',
  tasks: 'tasks/',
  slots: 'slots/',
  taskStatus: 'task-status/',
  nodes: 'nodes/',
  sessions: 'sessions/',
  nodeStatus: 'node-status/',
  routeAcks: 'route-acks/',
  byName: 'by-name/',
  byPort: 'by-port/',
  managers: 'managers/',
  events: 'events/',
} as const;

export type TableName = keyof typeof TABLE_PREFIXES;

export const CLUSTER_KEY = 'cluster';
export const LEADER_KEY = 'leader';
/**
 * Rewritten, without a compare, in every transaction that deletes an input of the route table: its mod revision keeps the
 * table's epoch from falling when the newest input goes.
 */
export const ROUTE_FLOOR_KEY = 'route-floor';

export function specKey(serviceId: string, number: number): string {
  return `${TABLE_PREFIXES.specs}${serviceId}/${String(number)}`;
}

/** `slot` is a number for replicated, a node id for global services. */
export function slotKey(serviceId: string, slot: number | string): string {
  return `${TABLE_PREFIXES.slots}${serviceId}/${String(slot)}`;
}

export function nameKey(kind: 'service', name: string): string {
  return `${TABLE_PREFIXES.byName}${kind}/${name}`;
}

/** HTTP ports are TCP ports of the host. */
export function portKey(protocol: PortProtocol, port: number): string {
  return `${TABLE_PREFIXES.byPort}${protocol === Protocols.UDP ? 'udp' : 'tcp'}/${String(port)}`;
}
