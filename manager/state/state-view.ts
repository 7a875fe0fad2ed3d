// What may be read of the cluster's state: rows by id, and the few indexes that keep every loop from passing over everything.
import type { Service, ServiceSpec, ServiceStatus, StoredSpec, Task } from '../../proto/index.ts';
import type { Revision } from '../store/store.ts';
import { canaryOf, seenSpecNumber } from './canary.ts';
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

/**
 * Number of the spec that the service's tasks are, or are about to be, brought to: the newest, unless its update was rolled back by the leader, or it is
 * on trial as a canary.
 */
export function activeSpecNumber(service: Service, status: ServiceStatus | undefined): number {
  const canary = canaryOf(service, status);
  if (canary !== undefined) return canary.baseSpecNumber;
  const hasReacted = status !== undefined && seenSpecNumber(status) === service.specNumber;
  return hasReacted ? status.activeSpecNumber : service.specNumber;
}

/** The spec of `activeSpecNumber`: what users see as the service's spec, and what says which ports are published. */
export function activeSpecOf(state: StateView, serviceId: string): { readonly number: number; readonly spec: ServiceSpec } | undefined {
  const service = state.get('services', serviceId)?.value;
  if (service === undefined) return undefined;
  const number = activeSpecNumber(service, state.get('serviceStatus', serviceId)?.value);
  const spec = specOf(state, serviceId, number);
  return spec === undefined ? undefined : { number, spec };
}

/** The number of a task's slot as users see it: from 1 for a service, from 0 for a job. */
export function shownSlot({ slot, jobIteration }: Pick<Task, 'slot' | 'jobIteration'>): number {
  return jobIteration === undefined ? slot : Math.max(0, slot - 1);
}
