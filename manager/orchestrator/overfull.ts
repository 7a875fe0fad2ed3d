// Nodes that have become smaller than what their tasks reserve: the newest tasks that do not fit any more have to go.
import { type NodeDescription, type Task, TaskState } from '../../proto/index.ts';
import { type Row, specOf, type StateView } from '../state/index.ts';
import type { Pass } from './pass.ts';
import type { TaskInfo } from './task-info.ts';

/** The scheduler never fills a node above its size: once all fit, they do until the node says that it has another one. */
const ROOMY = new WeakSet<NodeDescription>();

/** Why the node has no room for what the task reserves; undefined: it has. */
export function overfullProblem(pass: Pass, { task, node, nodeStatus, spec }: TaskInfo): string | undefined {
  const { nanoCpus = 0, memoryBytes = 0 } = spec?.task?.reservations ?? {};
  const description = nodeStatus?.description;
  const isModest = nanoCpus === 0 && memoryBytes === 0 && (spec?.task?.genericReservations.length ?? 0) === 0;
  if (node === undefined || description === undefined || isModest) return undefined;
  if (ROOMY.has(description)) return undefined;
  const without = tasksWithoutRoom(pass.view, node.id, description);
  if (without.size === 0) ROOMY.add(description);
  return without.has(task.id) ? 'insufficient resources for what it reserves' : undefined;
}

/** Oldest first, as long as there is room. */
function tasksWithoutRoom(view: StateView, nodeId: string, { resources, genericResources }: NodeDescription): ReadonlySet<string> {
  let nanoCpus = resources?.nanoCpus ?? 0;
  let memoryBytes = resources?.memoryBytes ?? 0;
  const generics = new Map(genericResources.map(({ kind, count }) => [kind, count]));
  const without = new Set<string>();
  const present = [...view.tasksOfNode(nodeId)].filter((row) => isThere(view, row));
  present.sort((one, other) => one.createRevision - other.createRevision || (one.id < other.id ? -1 : 1));
  for (const { id, value } of present) {
    const task = specOf(view, value.serviceId, value.specNumber)?.task;
    const wanted = task?.reservations;
    const kinds = task?.genericReservations ?? [];
    const lacksKind = kinds.some(({ kind, count }) => count > (generics.get(kind) ?? 0));
    const [cpus, memory] = [wanted?.nanoCpus ?? 0, wanted?.memoryBytes ?? 0];
    if (lacksKind || (cpus > 0 && cpus > nanoCpus) || (memory > 0 && memory > memoryBytes)) without.add(id);
    else {
      nanoCpus -= cpus;
      memoryBytes -= memory;
      for (const { kind, count } of kinds) generics.set(kind, (generics.get(kind) ?? 0) - count);
    }
  }
  return without;
}

/** It takes room on its node, be it on its way out: as the scheduler counts. */
function isThere(view: StateView, { id, value }: Row<Task>): boolean {
  return value.verdict?.state !== TaskState.PENDING && (view.get('taskStatus', id)?.value.state ?? TaskState.NEW) < TaskState.COMPLETE;
}
