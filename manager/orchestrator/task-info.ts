// What reconcilers want to know of one task: the leader's row, its node's word and the state of that node, read together once per pass.
import {
  Availability,
  type Node,
  type NodeStatus,
  NodeState,
  PortMode,
  PortProtocol,
  type PortSpec,
  type ServiceSpec,
  type Task,
  TaskState,
  type TaskStatus,
} from '../../proto/index.ts';
import { isHeld, type Row, specOf, type StateView } from '../state/index.ts';

/** Of the node that a task is on. `none`: not placed. `away`: no word of it yet, or DOWN but held: its tasks are not replaced yet. */
export type NodeCondition = 'none' | 'ready' | 'away' | 'down' | 'removed';

export interface TaskInfo {
  readonly row: Row<Task>;
  readonly task: Task;
  readonly statusRow: Row<TaskStatus> | undefined;
  readonly status: TaskStatus | undefined;
  /** The one it was made from; undefined once that is gone. */
  readonly spec: ServiceSpec | undefined;
  readonly nodeCondition: NodeCondition;
  readonly node: Node | undefined;
  readonly nodeStatus: NodeStatus | undefined;
  /** It has no node yet, or only one in view that has not taken it: nothing of it exists anywhere. */
  readonly isWaiting: boolean;
  /** Its node said that it ended. */
  readonly isFinished: boolean;
  /** Nothing of it runs or will run: finished, waiting, or its node is no longer part of the cluster. */
  readonly isEnded: boolean;
  /** It runs, its readiness probe (where it has one) passes, and it accepts connections on every port that it publishes. */
  readonly isUp: boolean;
  /** It has connections, or may get some. */
  readonly isRouted: boolean;
}

const NO_PORTS: readonly PortSpec[] = [];
const INGRESS = new WeakMap<ServiceSpec, readonly PortSpec[]>();

function ingressPortsOf(spec: ServiceSpec): readonly PortSpec[] {
  let ports = INGRESS.get(spec);
  if (ports === undefined) {
    ports = spec.ports.filter(isIngress);
    INGRESS.set(spec, ports);
  }
  return ports;
}

export function taskInfo(view: StateView, row: Row<Task>): TaskInfo {
  const task = row.value;
  const statusRow = view.get('taskStatus', row.id);
  const status = statusRow?.value;
  const spec = specOf(view, task.serviceId, task.specNumber);
  const isWaiting = task.nodeId === '' || task.verdict?.state === TaskState.PENDING;
  const node = isWaiting ? undefined : view.get('nodes', task.nodeId)?.value;
  const nodeStatus = isWaiting ? undefined : view.get('nodeStatus', task.nodeId)?.value;
  const nodeCondition = isWaiting ? 'none' : conditionOf(view, node, nodeStatus);
  const isFinished = (status?.state ?? TaskState.NEW) >= TaskState.COMPLETE;
  const runs = !isWaiting && nodeCondition === 'ready' && status?.state === TaskState.RUNNING;
  const ports = spec === undefined ? NO_PORTS : ingressPortsOf(spec);
  const isUnready = status?.readiness?.ready === false;
  const isReady = (port: PortSpec): boolean => status?.endpoints.some((other) => other.ready && sameTarget(other, port)) ?? false;
  return {
    row,
    task,
    statusRow,
    status,
    spec,
    nodeCondition,
    node,
    nodeStatus,
    isWaiting,
    isFinished,
    isEnded: isWaiting || isFinished || nodeCondition === 'removed',
    isUp: runs && (task.desired === TaskState.RUNNING || task.desired === TaskState.COMPLETE) && !isUnready && ports.every(isReady),
    // One that was ready before may still have connections, and is in the tables of meshes that have not heard.
    isRouted: runs && (isUnready ? ports.length > 0 : ports.some(isReady)),
  };
}

function conditionOf(view: StateView, node: Node | undefined, status: NodeStatus | undefined): NodeCondition {
  if (node === undefined) return 'removed';
  if (status?.state === NodeState.NODE_READY) return 'ready';
  return status?.state === NodeState.NODE_DOWN && !isHeld(view, node.id) ? 'down' : 'away';
}

export function isDrained(node: Node | undefined): boolean {
  return node?.spec?.availability === Availability.DRAIN;
}

export function isIngress(port: PortSpec): boolean {
  return port.mode === PortMode.INGRESS;
}

function sameTarget(one: Pick<PortSpec, 'protocol' | 'targetPort'>, other: Pick<PortSpec, 'protocol' | 'targetPort'>): boolean {
  return one.targetPort === other.targetPort && (one.protocol === PortProtocol.UDP) === (other.protocol === PortProtocol.UDP);
}
