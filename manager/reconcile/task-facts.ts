// What the reconcilers ask of one task: the row, what its node says, and what follows from both.
import {
  type Node,
  NodeState,
  type NodeStatus,
  PortMode,
  type ServiceSpec,
  type Task,
  TaskState,
  type TaskStatus,
} from '../../proto/index.ts';
import { type Row, specOf, type StateView } from '../state/index.ts';

export interface TaskFacts {
  readonly row: Row<Task>;
  readonly task: Task;
  readonly status: TaskStatus | undefined;
  /** What users see: the verdict if there is one, else the status. */
  readonly state: TaskState;
  readonly spec: ServiceSpec | undefined;
  readonly node: Node | undefined;
  readonly nodeStatus: NodeStatus | undefined;
}

export function factsOf(view: StateView, row: Row<Task>): TaskFacts {
  const task = row.value;
  const status = view.get('taskStatus', row.id)?.value;
  return {
    row,
    task,
    status,
    state: stateOf(task, status),
    spec: specOf(view, task.serviceId, task.specNumber),
    node: view.get('nodes', task.nodeId)?.value,
    nodeStatus: view.get('nodeStatus', task.nodeId)?.value,
  };
}

/** An ASSIGNED verdict only stands until the node has spoken. */
export function stateOf(task: Task, status: TaskStatus | undefined): TaskState {
  const verdict = task.verdict?.state;
  if (verdict === undefined) return status?.state ?? TaskState.NEW;
  if (verdict === TaskState.ASSIGNED && status !== undefined && status.state > TaskState.ASSIGNED) return status.state;
  return verdict;
}

/** Ended for good, one way or another. */
export function isFinished({ state }: TaskFacts): boolean {
  return state > TaskState.RUNNING;
}

/** Wanted to run, and not ended: it fills its slot, even while it drains. */
export function isLive(facts: TaskFacts): boolean {
  return facts.task.desired <= TaskState.RUNNING && !facts.task.lost && !isFinished(facts);
}

export function isNodeDown({ nodeStatus }: TaskFacts): boolean {
  return nodeStatus?.state === NodeState.NODE_DOWN;
}

export function isNodeReady({ nodeStatus }: TaskFacts): boolean {
  return nodeStatus?.state === NodeState.NODE_READY;
}

export function hasIngress(spec: ServiceSpec | undefined): boolean {
  return spec?.ports.some((port) => port.mode === PortMode.INGRESS) === true;
}

/** Runs, and would get connections: each ingress port of its spec is ready. */
export function isReady(facts: TaskFacts): boolean {
  if (facts.state !== TaskState.RUNNING) return false;
  const wanted = facts.spec?.ports.filter((port) => port.mode === PortMode.INGRESS) ?? [];
  return wanted.every(
    (port) =>
      facts.status?.endpoints.some(
        (endpoint) => endpoint.targetPort === port.targetPort && endpoint.protocol === port.protocol && endpoint.ready,
      ) === true,
  );
}

/** Connections may be open to it: it must be drained before it is told to stop. */
export function carriesTraffic(facts: TaskFacts): boolean {
  return (
    facts.state === TaskState.RUNNING &&
    hasIngress(facts.spec) &&
    isNodeReady(facts) &&
    facts.status?.endpoints.some((endpoint) => endpoint.ready) === true
  );
}
