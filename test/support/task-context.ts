// Tasks as an agent's worker hands them to a runtime.
import { systemIds } from '../../lib/ids.ts';
import { type ContainerSpec as ContainerFields, Assignment, ContainerSpec, TaskSpec } from '../../proto/index.ts';
import { type LeasedPort, type TaskContext } from '../../agent/runtime/runtime.ts';

export interface TaskFields {
  readonly container?: Partial<ContainerFields>;
  readonly spec?: Partial<TaskSpec>;
  readonly ports?: readonly LeasedPort[];
  readonly taskId?: string;
  readonly nodeId?: string;
  readonly clusterId?: string;
  readonly dataAddress?: string;
}

export function taskContext(fields: TaskFields = {}): TaskContext {
  return {
    assignment: Assignment.create({
      taskId: fields.taskId ?? systemIds.next(),
      serviceId: 'service1',
      serviceName: 'web',
      taskName: 'web.1',
      specNumber: 3,
      slot: 1,
      spec: TaskSpec.create({ ...fields.spec, container: ContainerSpec.create(fields.container ?? {}) }),
    }),
    nodeId: fields.nodeId ?? 'node1',
    clusterId: fields.clusterId ?? 'cluster1',
    dataAddress: fields.dataAddress ?? '127.0.0.1',
    ports: fields.ports ?? [],
  };
}
