// What one task takes of its node.
import {
  type GenericResource,
  PortMode,
  type PortProtocol,
  PortProtocol as Protocols,
  type PortSpec,
  type Task,
  TaskState,
  type TaskSpec,
} from '../../proto/index.ts';

export interface HostPort {
  readonly protocol: PortProtocol;
  readonly port: number;
}

/** Counts while the task is not finished: its reservations are held until its process is gone. */
export interface TaskDemand {
  readonly taskId: string;
  readonly serviceId: string;
  readonly specNumber: number;
  readonly nodeId: string;
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly hostPorts: readonly HostPort[];
  /** Which ones it has of its node; unset: none. */
  readonly generics?: readonly GenericResource[];
  /** Unset: 0. */
  readonly priority?: number;
  /** False for a task that is on its way out: it holds its resources, and no longer counts for spreading and max replicas. Unset: true. */
  readonly active?: boolean;
}

/** The demand of a placed task, by the spec that it was made from. */
export function demandOf(task: Task, spec: TaskSpec | undefined, ports: readonly PortSpec[]): TaskDemand {
  return {
    taskId: task.id,
    serviceId: task.serviceId,
    specNumber: task.specNumber,
    nodeId: task.nodeId,
    nanoCpus: spec?.reservations?.nanoCpus ?? 0,
    memoryBytes: spec?.reservations?.memoryBytes ?? 0,
    hostPorts: hostPortsOf(ports),
    generics: task.genericResources,
    priority: spec?.placement?.priority ?? 0,
    active: task.desired <= TaskState.COMPLETE && !task.drain && !task.lost && task.preempted === '',
  };
}

const NONE: readonly HostPort[] = [];

export function hostPortsOf(ports: readonly PortSpec[]): readonly HostPort[] {
  if (!ports.some(isFixedHostPort)) return NONE;
  return ports.filter(isFixedHostPort).map((port) => ({ protocol: port.protocol, port: port.publishedPort }));
}

/** Published 0 is one of the node's choice: it fits anywhere. */
function isFixedHostPort(port: PortSpec): boolean {
  return port.mode === PortMode.HOST && port.publishedPort > 0;
}

/** HTTP is spoken over TCP. */
export function hostPortKey({ protocol, port }: HostPort): string {
  return `${protocol === Protocols.UDP ? 'udp' : 'tcp'}/${port}`;
}
