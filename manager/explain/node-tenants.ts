// Who is on a node: names for the tasks that hold a port or most of the resources there.
import { type Task, TaskState } from '../../proto/index.ts';
import { type HostPort, hostPortKey, hostPortsOf } from '../scheduler/demand.ts';
import { specOf, type StateView } from '../state/index.ts';
import { memoryText, cpusText } from './amounts.ts';

export interface NodeTenants {
  /** Tasks that hold the host port, by name; with what they do where they are about to leave. */
  holdersOf(nodeId: string, port: HostPort): readonly string[];
  /** The tasks that reserve most there, most first, at most three: "db.1 (1GiB)". */
  largestOn(nodeId: string, resource: 'nanoCpus' | 'memoryBytes'): readonly string[];
  /** The tasks that have most of the generic resource there, most first, at most three: "train.1 (2)". */
  holdersOfGeneric(nodeId: string, kind: string): readonly string[];
}

const MAX_NAMED = 3;

export function nodeTenants(view: StateView): NodeTenants {
  return {
    holdersOf(nodeId, port) {
      const key = hostPortKey(port);
      return present(view, nodeId)
        .filter((task) =>
          hostPortsOf(specOf(view, task.serviceId, task.specNumber)?.ports ?? []).some((other) => hostPortKey(other) === key),
        )
        .map((task) => (task.desired > TaskState.COMPLETE ? `${taskName(view, task)} (which is stopping)` : taskName(view, task)));
    },
    largestOn(nodeId, resource) {
      const amountOf = (task: Task): number => specOf(view, task.serviceId, task.specNumber)?.task?.reservations?.[resource] ?? 0;
      return present(view, nodeId)
        .map((task) => ({ task, amount: amountOf(task) }))
        .filter(({ amount }) => amount > 0)
        .sort((one, other) => other.amount - one.amount)
        .slice(0, MAX_NAMED)
        .map(({ task, amount }) => `${taskName(view, task)} (${resource === 'nanoCpus' ? cpusText(amount) : memoryText(amount)})`);
    },
    holdersOfGeneric(nodeId, kind) {
      const amountOf = (task: Task): number =>
        specOf(view, task.serviceId, task.specNumber)?.task?.genericReservations.find((each) => each.kind === kind)?.count ?? 0;
      return present(view, nodeId)
        .map((task) => ({ task, amount: amountOf(task) }))
        .filter(({ amount }) => amount > 0)
        .sort((one, other) => other.amount - one.amount)
        .slice(0, MAX_NAMED)
        .map(({ task, amount }) => `${taskName(view, task)} (${amount})`);
    },
  };
}

/** "web.3"; of a global service "web.<hostname>". */
export function taskName(view: StateView, task: Pick<Task, 'serviceId' | 'specNumber' | 'slot' | 'nodeId'>): string {
  const service = view.get('services', task.serviceId)?.value.name ?? specOf(view, task.serviceId, task.specNumber)?.name ?? task.serviceId;
  return `${service}.${task.slot > 0 ? String(task.slot) : nodeName(view, task.nodeId)}`;
}

export function nodeName(view: StateView, nodeId: string): string {
  return view.get('nodeStatus', nodeId)?.value.description?.hostname || nodeId;
}

function present(view: StateView, nodeId: string): readonly Task[] {
  return [...view.tasksOfNode(nodeId)]
    .map(({ value }) => value)
    .filter((task) => {
      const isPlaced = task.verdict?.state !== TaskState.PENDING && task.verdict?.state !== TaskState.ORPHANED;
      return isPlaced && (view.get('taskStatus', task.id)?.value.state ?? TaskState.NEW) < TaskState.COMPLETE;
    });
}
