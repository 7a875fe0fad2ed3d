// Services, tasks and nodes as a manager shows them, with only what a test cares about filled in.
import {
  ContainerSpec,
  EngineDescription,
  NodeDescription,
  NodeSpec,
  NodeState,
  NodeStatus,
  NodeView,
  ServiceSpec,
  ServiceView,
  TaskSpec,
  TaskState,
  TaskView,
} from '../../proto/index.ts';
import { NOW_UNIX_MS } from './captured-shell.ts';

export function idOf(name: string): string {
  return name.replaceAll(/[^a-z0-9]/g, '').padEnd(25, '0');
}

export function serviceView(name: string, spec: Partial<ServiceSpec> = {}, view: Partial<ServiceView> = {}): ServiceView {
  return ServiceView.create({
    id: idOf(name),
    version: 10,
    createdUnixMs: NOW_UNIX_MS - 3_600_000,
    updatedUnixMs: NOW_UNIX_MS - 60_000,
    spec: ServiceSpec.create({ name, replicas: 1, task: taskSpec('nginx:1.25'), drainPeriodMs: 10_000, ...spec }),
    specNumber: 1,
    runningTasks: 1,
    desiredTasks: 1,
    ...view,
  });
}

export function taskSpec(image: string, container: Partial<ContainerSpec> = {}): TaskSpec {
  return TaskSpec.create({ container: ContainerSpec.create({ image, ...container }) });
}

export function taskView(name: string, view: Partial<TaskView> = {}): TaskView {
  const [serviceName = '', slot = ''] = name.split('.');
  return TaskView.create({
    id: idOf(name),
    name,
    serviceName,
    slot: Number(slot) || 0,
    nodeId: idOf('host1'),
    nodeHostname: 'host1',
    desired: TaskState.RUNNING,
    state: TaskState.RUNNING,
    sinceUnixMs: NOW_UNIX_MS - 180_000,
    createdUnixMs: NOW_UNIX_MS - 185_000,
    spec: taskSpec('nginx:1.25'),
    ...view,
  });
}

export function nodeView(hostname: string, view: Partial<NodeView> = {}, status: Partial<NodeStatus> = {}): NodeView {
  return NodeView.create({
    id: idOf(hostname),
    version: 4,
    createdUnixMs: NOW_UNIX_MS - 86_400_000,
    spec: NodeSpec.create(),
    status: NodeStatus.create({
      state: NodeState.NODE_READY,
      address: '10.0.0.1',
      description: NodeDescription.create({
        hostname,
        platform: { os: 'linux', arch: 'x86_64' },
        resources: { nanoCpus: 2e9, memoryBytes: 2 * 1024 ** 3, pids: 0 },
        engine: EngineDescription.create({ runtime: 'docker', version: '28.2.2', plugins: ['volume/local'] }),
        dataAddress: '10.0.0.1',
        shoalVersion: '0.1.0',
      }),
      ...status,
    }),
    ...view,
  });
}
