// Which changes of a spec need a new task, and in which order a slot is replaced.
import {
  ContainerSpec,
  MountType,
  PortMode,
  type PortSpec,
  type ServiceSpec,
  TaskSpec,
  UpdateConfig,
  UpdateOrder,
} from '../../proto/index.ts';
import { hasIngress } from './task-facts.ts';

/** Whether a task of `running` serves as one of `wanted`: only placement, registry credentials or published ports differ. */
export function isSameTask(running: ServiceSpec | undefined, wanted: ServiceSpec): boolean {
  return running !== undefined && fingerprint(running) === fingerprint(wanted);
}

function fingerprint(spec: ServiceSpec): string {
  const task = TaskSpec.create(spec.task);
  const container = ContainerSpec.create({ ...task.container, registryAuth: '' });
  const bytes = TaskSpec.encode({ ...task, container, placement: undefined, restart: undefined });
  return `${Buffer.from(bytes).toString('base64')}|${spec.ports.map(portOfTask).sort().join(',')}`;
}

/** What a task itself knows of a port: the mesh maps published ports to targets without it. */
function portOfTask(port: PortSpec): string {
  const host = port.mode === PortMode.HOST;
  return `${port.protocol}/${port.targetPort}/${port.mode}/${host ? port.publishedPort : ''}`;
}

/** auto: start-first where an ingress port makes it useful and nothing that two tasks cannot share makes it dangerous. */
export function orderOf(spec: ServiceSpec): 'start-first' | 'stop-first' {
  switch ((spec.update ?? UpdateConfig.create()).order) {
    case UpdateOrder.START_FIRST:
      return 'start-first';
    case UpdateOrder.STOP_FIRST:
      return 'stop-first';
    case UpdateOrder.AUTO:
      return hasIngress(spec) && !sharesNothing(spec) ? 'start-first' : 'stop-first';
  }
}

function sharesNothing(spec: ServiceSpec): boolean {
  const mounts = spec.task?.container?.mounts ?? [];
  return (
    spec.ports.some((port) => port.mode === PortMode.HOST) || mounts.some((mount) => mount.type !== MountType.TMPFS && !mount.readOnly)
  );
}
