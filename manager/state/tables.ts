// Which message each table holds.
import {
  Claim,
  Cluster,
  type Codec,
  EventFloor,
  EventRecord,
  ManagerLiveness,
  Node,
  NodeSession,
  NodeStatus,
  NodeWatch,
  PortClaim,
  RebalanceRequest,
  RemovedNode,
  RouteAcks,
  Service,
  ServiceStatus,
  Slot,
  StoredSpec,
  Task,
  TaskStatus,
} from '../../proto/index.ts';
import type { Revision } from '../store/store.ts';
import type { TableName } from './keys.ts';

export interface TableTypes {
  cluster: Cluster;
  services: Service;
  specs: StoredSpec;
  serviceStatus: ServiceStatus;
  rebalance: RebalanceRequest;
  tasks: Task;
  slots: Slot;
  taskStatus: TaskStatus;
  nodes: Node;
  sessions: NodeSession;
  nodeStatus: NodeStatus;
  removedNodes: RemovedNode;
  routeAcks: RouteAcks;
  routeFloor: Claim;
  byName: Claim;
  byPort: PortClaim;
  managers: ManagerLiveness;
  leader: ManagerLiveness;
  nodeWatch: NodeWatch;
  events: EventRecord;
  eventFloor: EventFloor;
}

export const TABLE_CODECS: { readonly [T in TableName]: Codec<TableTypes[T]> } = {
  cluster: Cluster,
  services: Service,
  specs: StoredSpec,
  serviceStatus: ServiceStatus,
  rebalance: RebalanceRequest,
  tasks: Task,
  slots: Slot,
  taskStatus: TaskStatus,
  nodes: Node,
  sessions: NodeSession,
  nodeStatus: NodeStatus,
  removedNodes: RemovedNode,
  routeAcks: RouteAcks,
  routeFloor: Claim,
  byName: Claim,
  byPort: PortClaim,
  managers: ManagerLiveness,
  leader: ManagerLiveness,
  nodeWatch: NodeWatch,
  events: EventRecord,
  eventFloor: EventFloor,
};

/** One stored object. Rows are replaced, never changed. */
export interface Row<T> {
  /** What follows the table's prefix in the key. */
  readonly id: string;
  /** As the store knows it: what is written of a row again need not make it anew. */
  readonly key: string;
  readonly value: T;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
}

/** One row before and after; both are never undefined. */
export type Change = { readonly [T in TableName]: ChangeOf<T> }[TableName];

export interface ChangeOf<T extends TableName> {
  readonly table: T;
  readonly id: string;
  readonly before: Row<TableTypes[T]> | undefined;
  readonly after: Row<TableTypes[T]> | undefined;
}

/** A row that this process has committed itself; value undefined: deleted. */
export interface OwnWrite {
  readonly table: TableName;
  readonly id: string;
  readonly value: TableTypes[TableName] | undefined;
}
