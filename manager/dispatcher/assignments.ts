// What a node shall have, as a pure function of the state: the tasks placed there, each with its spec and templates filled in.
import { ShoalError } from '../../lib/errors.ts';
import { type Assignment, type NodeDescription, ServiceMode, type ServiceSpec, type Task, TaskState } from '../../proto/index.ts';
import { shownSlot, specOf, type StateView } from '../state/index.ts';
import { withGenericEnv } from './generic-env.ts';
import { expandTaskSpec } from './template.ts';

/** What templates may say of the node. */
export interface NodeFacts {
  readonly id: string;
  readonly hostname: string;
  readonly arch: string;
  readonly os: string;
}

export function factsOf(nodeId: string, description: NodeDescription | undefined): NodeFacts {
  const { hostname = '', platform } = description ?? {};
  return { id: nodeId, hostname, arch: platform?.arch ?? '', os: platform?.os ?? '' };
}

export type AssignmentResult =
  | { readonly kind: 'assigned'; readonly assignment: Assignment }
  /** The node need not, or no longer, know of it. */
  | { readonly kind: 'none' }
  /** It cannot be told to the node: a template that cannot be filled in. */
  | { readonly kind: 'impossible'; readonly reason: string };

const NONE: AssignmentResult = { kind: 'none' };

export function isFinished(state: TaskState): boolean {
  return state >= TaskState.COMPLETE;
}

/**
 * Finished tasks stay assigned while they are in the store, since their node keeps what is left of them for logs; once one is finished and
 * desired REMOVE, nobody wants it any longer.
 */
export function isAssigned(state: StateView, task: Task, nodeId: string): boolean {
  // A global task names its only possible node from the start, and may still wait for room there.
  if (task.nodeId !== nodeId || task.verdict?.state === TaskState.PENDING) return false;
  if (task.desired !== TaskState.REMOVE) return true;
  return !isFinished(state.get('taskStatus', task.id)?.value.state ?? TaskState.NEW);
}

export function assignmentOf(state: StateView, task: Task, node: NodeFacts): AssignmentResult {
  if (!isAssigned(state, task, node.id)) return NONE;
  const spec = specOf(state, task.serviceId, task.specNumber);
  const service = state.get('services', task.serviceId)?.value;
  const serviceName = service?.name ?? spec?.name ?? '';
  const taskName = taskNameOf(serviceName, spec, task, node.id);
  try {
    const expanded =
      spec?.task &&
      expandTaskSpec(spec.task, {
        service: { id: task.serviceId, name: serviceName, labels: spec.labels },
        node,
        task: { id: task.id, name: taskName, slot: task.slot === 0 ? node.id : String(shownSlot(task)) },
      });
    const assignment: Assignment = {
      taskId: task.id,
      serviceId: task.serviceId,
      serviceName,
      specNumber: task.specNumber,
      slot: task.slot,
      taskName,
      desired: task.desired,
      spec: expanded && withGenericEnv(expanded, task.genericResources),
      ports: spec?.ports ?? [],
    };
    return { kind: 'assigned', assignment };
  } catch (error) {
    return { kind: 'impossible', reason: ShoalError.from(error).message };
  }
}

export function assignmentsOf(state: StateView, node: NodeFacts): readonly Assignment[] {
  const assignments: Assignment[] = [];
  for (const { value } of state.tasksOfNode(node.id)) {
    const result = assignmentOf(state, value, node);
    if (result.kind === 'assigned') assignments.push(result.assignment);
  }
  return assignments;
}

function taskNameOf(serviceName: string, spec: ServiceSpec | undefined, task: Task, nodeId: string): string {
  const global = spec === undefined ? task.slot === 0 : spec.mode === ServiceMode.GLOBAL || spec.mode === ServiceMode.GLOBAL_JOB;
  return `${serviceName}.${global ? nodeId : shownSlot(task)}`;
}
