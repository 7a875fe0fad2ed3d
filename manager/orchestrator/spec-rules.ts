// What specs mean for running tasks: which changes restart them, in which order they are replaced, and the defaults of what is not given.
import { createHash } from 'node:crypto';
import { MountType, PortMode, PortProtocol, type PortSpec, type ServiceSpec, UpdateOrder } from '../../proto/index.ts';
import { updateConfigOf } from '../state/index.ts';
import { isIngress } from './task-info.ts';

export const DEFAULT_PROGRESS_DEADLINE_MS = 10 * 60_000;

/**
 * AUTO starts the new task first where that is safe: a service with an ingress port (so connections move over), without anything that only one
 * task at a time may have: a writable volume or bind mount, a host port.
 */
export function startsFirst(spec: ServiceSpec, order = updateConfigOf(spec).order): boolean {
  switch (order) {
    case UpdateOrder.START_FIRST:
      return true;
    case UpdateOrder.STOP_FIRST:
      return false;
    case UpdateOrder.AUTO: {
      const mounts = spec.task?.container?.mounts ?? [];
      // A volume without a name is the task's own.
      const sharesData = mounts.some((mount) => !mount.readOnly && mount.type !== MountType.TMPFS && mount.source !== '');
      return spec.ports.some(isIngress) && !sharesData && !spec.ports.some((port) => port.mode === PortMode.HOST);
    }
  }
}

const DIGESTS = new WeakMap<ServiceSpec, string>();

/**
 * Equal for specs whose tasks are alike. Left out is what concerns no running task: placement (where it still fits), the login for the registry,
 * replicas, update settings, and of an ingress port all that only the mesh needs: the published number, the settings, whether it is read as HTTP.
 */
export function taskDigest(spec: ServiceSpec): string {
  let digest = DIGESTS.get(spec);
  if (digest === undefined) {
    const { task } = spec;
    const container = task?.container && { ...task.container, registryAuth: '' };
    const alike = { task: task && { ...task, placement: undefined, container }, ports: [...new Set(spec.ports.map(portPart))].sort() };
    digest = createHash('sha256').update(JSON.stringify(alike, sortKeys)).digest('base64');
    DIGESTS.set(spec, digest);
  }
  return digest;
}

/** Whether a task that waits for a node would be placed otherwise by the other spec. */
export function samePlacement(one: ServiceSpec, other: ServiceSpec): boolean {
  return JSON.stringify(one.task?.placement) === JSON.stringify(other.task?.placement);
}

function portPart(port: PortSpec): string {
  const protocol = port.protocol === PortProtocol.UDP ? 'udp' : 'tcp';
  return `${port.mode}/${protocol}/${port.targetPort}/${port.mode === PortMode.HOST ? port.publishedPort : ''}`;
}

/** Maps come in the order in which they were written. */
function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
