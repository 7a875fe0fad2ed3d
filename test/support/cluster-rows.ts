// Rows as API and leader write them, for tests of what is made of them.
import { specId } from '../../manager/state/index.ts';
import { Endpoint, Service, type ServiceSpec, StoredSpec, Task, TaskState, TaskStatus } from '../../proto/index.ts';
import { row, type RowWrite } from './state-rows.ts';

export function serviceRows(id: string, spec: ServiceSpec, number = 1): readonly RowWrite[] {
  return [
    row('services', id, Service.create({ id, name: spec.name, specNumber: number })),
    row('specs', specId(id, number), StoredSpec.create({ serviceId: id, number, spec })),
  ];
}

/** Desired RUNNING, slot 1, by the first spec. */
export function taskRow(id: string, serviceId: string, nodeId: string, fields: Partial<Task> = {}): RowWrite {
  return row('tasks', id, Task.create({ id, serviceId, nodeId, specNumber: 1, slot: 1, desired: TaskState.RUNNING, ...fields }));
}

/** Running, and answering at its port 8080. */
export function runningStatus(taskId: string, nodeId: string, fields: Partial<TaskStatus> = {}): TaskStatus {
  const endpoints = [Endpoint.create({ targetPort: 8080, nodeAddress: '127.0.0.1', nodePort: 20_000, ready: true })];
  return TaskStatus.create({ taskId, nodeId, state: TaskState.RUNNING, endpoints, ...fields });
}
