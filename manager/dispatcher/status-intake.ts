// What of an agent's status batch may be written: pure rules.
import { ShoalError } from '../../lib/errors.ts';
import { type Endpoint, TaskState, TaskStatus, type StatusBatch } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
import { isFinished } from './assignments.ts';

export interface Intake {
  readonly accepted: readonly TaskStatus[];
  /** Tasks of other nodes: never written. */
  readonly foreign: readonly string[];
  /** Tasks that are not (any longer) in the store. */
  readonly unknown: readonly string[];
}

const MAX_TEXT = 4096;
const MAX_ENDPOINTS = 256;
const MAX_ADDRESS = 64;
const MAX_PORT = 65_535;

/** Throws `invalid_argument` on a batch that no agent sends: states that are not an agent's to report, endless lists. */
export function takeBatch(state: StateView, nodeId: string, batch: StatusBatch): Intake {
  const accepted: TaskStatus[] = [];
  const foreign: string[] = [];
  const unknown: string[] = [];
  for (const status of batch.statuses) {
    const problem = problemOf(status);
    if (problem !== undefined) throw new ShoalError('invalid_argument', `status of task ${status.taskId.slice(0, 64)}: ${problem}`);
    const task = state.get('tasks', status.taskId)?.value;
    if (task === undefined) unknown.push(status.taskId);
    else if (task.nodeId !== nodeId) foreign.push(status.taskId);
    else accepted.push({ ...status, nodeId, message: status.message.slice(0, MAX_TEXT), error: status.error.slice(0, MAX_TEXT) });
  }
  return { accepted, foreign, unknown };
}

function problemOf(status: TaskStatus): string | undefined {
  if (status.state < TaskState.ASSIGNED || status.state > TaskState.REJECTED) return `state ${status.state} is not an agent's to report`;
  if (status.endpoints.length > MAX_ENDPOINTS) return `${status.endpoints.length} endpoints; at most ${MAX_ENDPOINTS} are taken`;
  if (!status.endpoints.every(isEndpoint)) return 'an endpoint is not an address and port';
  if ((status.readiness?.reason.length ?? 0) > MAX_TEXT) return 'the reason of its readiness is too long';
  if (status.containerId.length > MAX_TEXT) return 'its container id is too long';
  return undefined;
}

function isEndpoint({ nodeAddress, nodePort, containerAddress, containerPort, targetPort }: Endpoint): boolean {
  const ports = [nodePort, containerPort, targetPort];
  return nodeAddress.length <= MAX_ADDRESS && containerAddress.length <= MAX_ADDRESS && ports.every((port) => port <= MAX_PORT);
}

/** What the row becomes; undefined: nothing to write. States only move forward, and nothing follows a finished one. */
export function mergeStatus(current: TaskStatus | undefined, next: TaskStatus): TaskStatus | undefined {
  if (current === undefined) return next;
  if (isFinished(current.state) || next.state < current.state) return undefined;
  return sameStatus(current, next) ? undefined : next;
}

/**
 * Final statuses for tasks that the agent had reported before and does not know any longer, by its first, complete batch. Tasks that it never
 * reported are only just assigned.
 */
export function lostStatuses(state: StateView, nodeId: string, batch: StatusBatch, wallMs: number): readonly TaskStatus[] {
  const known = new Set(batch.statuses.map((status) => status.taskId));
  const lost: TaskStatus[] = [];
  for (const { id, value } of state.tasksOfNode(nodeId)) {
    if (known.has(id)) continue;
    const status = state.get('taskStatus', id)?.value;
    if (status === undefined || status.state <= TaskState.ASSIGNED || isFinished(status.state)) continue;
    const wanted = value.desired <= TaskState.COMPLETE;
    lost.push({
      ...status,
      state: wanted ? TaskState.FAILED : TaskState.SHUTDOWN,
      sinceUnixMs: wallMs,
      message: '',
      error: 'lost by the agent: it no longer knows of this task',
      exitCode: undefined,
      endpoints: [],
    });
  }
  return lost;
}

function sameStatus(a: TaskStatus, b: TaskStatus): boolean {
  return a.state === b.state && Buffer.compare(TaskStatus.encode(a), TaskStatus.encode(b)) === 0;
}
