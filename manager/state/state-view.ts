// What may be read of the cluster's state: rows by id, and the few indexes that keep every loop from passing over everything.
import type { ServiceSpec, StoredSpec, Task } from '../../proto/index.ts';
import type { Revision } from '../store/store.ts';
import { specId, type TableName } from './keys.ts';
import type { Row, TableTypes } from './tables.ts';

export interface StateView {
  /** Everything up to this revision is in; single rows may be newer (own commits). */
  readonly revision: Revision;
  get<T extends TableName>(table: T, id: string): Row<TableTypes[T]> | undefined;
  all<T extends TableName>(table: T): Iterable<Row<TableTypes[T]>>;
  count(table: TableName): number;
  tasksOfService(serviceId: string): Iterable<Row<Task>>;
  /** All kept specs, in no order. */
  specsOfService(serviceId: string): Iterable<Row<StoredSpec>>;
  /** Tasks placed on the node, finished ones included. */
  tasksOfNode(nodeId: string): Iterable<Row<Task>>;
}

/** The spec of that number; undefined once it is gone. */
export function specOf(state: StateView, serviceId: string, number: number): ServiceSpec | undefined {
  return state.get('specs', specId(serviceId, number))?.value.spec;
}

/** The spec that the service's tasks are brought to: the active one where the leader says so, else the newest. */
export function activeSpecOf(state: StateView, serviceId: string): { readonly number: number; readonly spec: ServiceSpec } | undefined {
  const service = state.get('services', serviceId)?.value;
  if (service === undefined) return undefined;
  const status = state.get('serviceStatus', serviceId)?.value;
  const number = status === undefined || status.activeSpecNumber === 0 ? service.specNumber : status.activeSpecNumber;
  const spec = specOf(state, serviceId, number);
  return spec === undefined ? undefined : { number, spec };
}
