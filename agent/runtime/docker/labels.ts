// How a task's container is named and labelled, so that any later agent of the node finds it and knows its ports again.
import { ShoalError } from '../../../lib/errors.ts';
import { type LeasedPort, type TaskContext } from '../runtime.ts';

export const LABEL = {
  cluster: 'shoal.cluster',
  node: 'shoal.node',
  serviceId: 'shoal.service.id',
  serviceName: 'shoal.service.name',
  taskId: 'shoal.task.id',
  taskName: 'shoal.task.name',
  spec: 'shoal.spec',
  ports: 'shoal.ports',
} as const;

export type Labels = Readonly<Record<string, string>>;

export function containerName(taskId: string): string {
  return `shoal-${taskId}`;
}

/** The user's container labels, and over them the ones by which Shoal knows its own. */
export function containerLabels(task: TaskContext): Record<string, string> {
  const { assignment } = task;
  return {
    ...assignment.spec?.container?.labels,
    [LABEL.cluster]: task.clusterId,
    [LABEL.node]: task.nodeId,
    [LABEL.serviceId]: assignment.serviceId,
    [LABEL.serviceName]: assignment.serviceName,
    [LABEL.taskId]: assignment.taskId,
    [LABEL.taskName]: assignment.taskName,
    [LABEL.spec]: String(assignment.specNumber),
    [LABEL.ports]: formatPorts(task.ports),
  };
}

/** The engine's label filter for what belongs to one node of one cluster. */
export function ownLabels(clusterId: string, nodeId: string): string[] {
  return [`${LABEL.cluster}=${clusterId}`, `${LABEL.node}=${nodeId}`];
}

/** The same for what belongs to any node of a cluster. */
export function clusterLabels(clusterId: string): string[] {
  return [`${LABEL.cluster}=${clusterId}`];
}

/** A container that stands under a task's name but is not that task's. Throws `failed_precondition` naming what differs. */
export function requireOwn(labels: Labels, task: TaskContext): void {
  const wanted = { [LABEL.cluster]: task.clusterId, [LABEL.node]: task.nodeId, [LABEL.taskId]: task.assignment.taskId };
  const wrong = Object.entries(wanted).filter(([key, value]) => labels[key] !== value);
  if (wrong.length === 0) return;
  const name = containerName(task.assignment.taskId);
  const list = wrong.map(([key, value]) => `${key} is ${labels[key] ?? 'missing'}, not ${value}`).join(', ');
  throw new ShoalError(
    'failed_precondition',
    `a container named ${name} stands already and is not this task's (${list}); remove it with: docker rm -f ${name}`,
  );
}

/** "tcp/80/20001,udp/53/5353/host" */
export function formatPorts(ports: readonly LeasedPort[]): string {
  return ports.map((port) => `${port.protocol}/${port.targetPort}/${port.nodePort}${port.host ? '/host' : ''}`).join(',');
}

/** What does not read as a port is left out. */
export function parsePorts(text: string): LeasedPort[] {
  return text.split(',').flatMap((part) => {
    const match = /^(tcp|udp)\/(\d+)\/(\d+)(\/host)?$/.exec(part);
    if (match === null) return [];
    const [, protocol, targetPort, nodePort, host] = match;
    return [
      {
        protocol: protocol === 'udp' ? 'udp' : 'tcp',
        targetPort: Number(targetPort),
        nodePort: Number(nodePort),
        host: host !== undefined,
      },
    ];
  });
}
