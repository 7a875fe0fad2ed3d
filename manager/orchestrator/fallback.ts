// A new task that is to run beside the old one, and fits nowhere: where it would fit in the old one's place, the old one goes first after all.
import { Availability, PortMode, PortProtocol, type PortSpec, type Resources, type ServiceSpec, TaskState } from '../../proto/index.ts';
import { placementProblem } from '../constraint/index.ts';
import { specOf } from '../state/index.ts';
import type { Pass } from './pass.ts';
import type { TaskInfo } from './task-info.ts';

/** `holder` takes over from `old`, and the scheduler has said that no node takes it. */
export function fallsBack(pass: Pass, old: TaskInfo, holder: TaskInfo): boolean {
  if (!holder.isWaiting || holder.task.held || (holder.task.verdict?.message ?? '') === '' || holder.task.replaces !== old.row.id)
    return false;
  return holder.spec !== undefined && fitsInPlaceOf(pass, old, holder.spec);
}

/** Whether the old task's node would take the new one if the old one were gone. */
function fitsInPlaceOf(pass: Pass, old: TaskInfo, spec: ServiceSpec): boolean {
  const { node, nodeStatus } = old;
  if (node === undefined || old.nodeCondition !== 'ready' || node.spec?.availability !== Availability.ACTIVE) return false;
  if (placementProblem(spec.task?.placement, node, nodeStatus) !== undefined) return false;
  let nanoCpus = nodeStatus?.description?.resources?.nanoCpus ?? 0;
  let memoryBytes = nodeStatus?.description?.resources?.memoryBytes ?? 0;
  let copies = 0;
  const generics = new Map(nodeStatus?.description?.genericResources.map(({ kind, count }) => [kind, count]));
  const ports = new Set<string>();
  for (const { id, value } of pass.view.tasksOfNode(node.id)) {
    const isThere =
      value.verdict?.state !== TaskState.PENDING && (pass.view.get('taskStatus', id)?.value.state ?? TaskState.NEW) < TaskState.COMPLETE;
    if (id === old.row.id || !isThere) continue;
    const other = specOf(pass.view, value.serviceId, value.specNumber);
    nanoCpus -= other?.task?.reservations?.nanoCpus ?? 0;
    memoryBytes -= other?.task?.reservations?.memoryBytes ?? 0;
    for (const { kind, count } of other?.task?.genericReservations ?? []) generics.set(kind, (generics.get(kind) ?? 0) - count);
    for (const port of hostPorts(other)) ports.add(port);
    if (value.serviceId === pass.serviceId && value.desired <= TaskState.COMPLETE) copies++;
  }
  const maxReplicas = spec.task?.placement?.maxReplicasPerNode ?? 0;
  if (maxReplicas > 0 && copies >= maxReplicas) return false;
  if (spec.task?.genericReservations.some(({ kind, count }) => count > (generics.get(kind) ?? 0)) === true) return false;
  return hasRoom(spec.task?.reservations, nanoCpus, memoryBytes) && !hostPorts(spec).some((port) => ports.has(port));
}

function hasRoom(wanted: Resources | undefined, nanoCpus: number, memoryBytes: number): boolean {
  if (wanted === undefined) return true;
  return (wanted.nanoCpus === 0 || wanted.nanoCpus <= nanoCpus) && (wanted.memoryBytes === 0 || wanted.memoryBytes <= memoryBytes);
}

function hostPorts(spec: ServiceSpec | undefined): readonly string[] {
  const isFixed = (port: PortSpec): boolean => port.mode === PortMode.HOST && port.publishedPort > 0;
  return spec?.ports.filter(isFixed).map((port) => `${port.protocol === PortProtocol.UDP ? 'udp' : 'tcp'}/${port.publishedPort}`) ?? [];
}
