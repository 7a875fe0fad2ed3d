// The stop sequence of the mesh: a replica that carries traffic is marked, every ready node's mesh has acknowledged that, its connections
// have ended or the drain period is over, and only then is it told to stop.
import { NodeState } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
import type { TaskFacts } from './task-facts.ts';
import type { Work } from './work.ts';

export const DEFAULT_DRAIN_PERIOD_MS = 10_000;
/** A mesh that has not acknowledged by then is excused, so that one node never blocks the cluster. */
export const ACK_DEADLINE_MS = 5000;

interface NodeAck {
  readonly revision: number;
  readonly idle: ReadonlySet<string>;
}

/** Newest acknowledgement of each node, under the present incarnation. */
export function acksOf(view: StateView): ReadonlyMap<string, NodeAck> {
  const incarnation = view.get('cluster', '')?.value.incarnation;
  const acks = new Map<string, NodeAck>();
  for (const { value } of view.all('routeAcks')) {
    for (const { nodeId, epoch, idleTaskIds } of value.nodes) {
      if (epoch === undefined || epoch.incarnation !== incarnation) continue;
      if ((acks.get(nodeId)?.revision ?? -1) < epoch.revision) acks.set(nodeId, { revision: epoch.revision, idle: new Set(idleTaskIds) });
    }
  }
  return acks;
}

export interface DrainView {
  readonly acks: ReadonlyMap<string, NodeAck>;
  /** Ready nodes whose mesh is not excused. */
  readonly owing: readonly string[];
}

export function drainView(view: StateView): DrainView {
  const owing: string[] = [];
  for (const { id, value } of view.all('nodeStatus')) {
    if (value.state === NodeState.NODE_READY && !value.meshUnready && view.get('nodes', id) !== undefined) owing.push(id);
  }
  return { acks: acksOf(view), owing };
}

/** Whether the task, marked in its row as stored, may now be told to stop. Excuses meshes that are overdue. */
export function isDrained(work: Work, facts: TaskFacts, drain: DrainView): boolean {
  const { id, modRevision } = facts.row;
  const late = drain.owing.filter((nodeId) => (drain.acks.get(nodeId)?.revision ?? -1) < modRevision);
  if (late.length > 0) {
    if (work.elapsedMs(`drain:${id}`, ACK_DEADLINE_MS) < ACK_DEADLINE_MS) return false;
    for (const nodeId of late) excuse(work, nodeId);
    return false;
  }
  const busy = drain.owing.some((nodeId) => drain.acks.get(nodeId)?.idle.has(id) !== true);
  const periodMs = facts.spec === undefined || facts.spec.drainPeriodMs === 0 ? DEFAULT_DRAIN_PERIOD_MS : facts.spec.drainPeriodMs;
  return !busy || work.elapsedMs(`acked:${id}`, periodMs) >= periodMs;
}

/** Compares the session: an agent that registers anew starts with a clean mesh. */
function excuse(work: Work, nodeId: string): void {
  const status = work.view.get('nodeStatus', nodeId);
  const session = work.view.get('sessions', nodeId);
  if (status === undefined || session === undefined) return;
  const group = `mesh:${nodeId}`;
  work.require(group, 'sessions', nodeId, session);
  work.put(group, 'nodeStatus', nodeId, { ...status.value, meshUnready: true }, status);
  work.event(group, {
    type: 'node',
    action: 'mesh-unready',
    objectId: nodeId,
    objectName: status.value.description?.hostname ?? nodeId,
    message: 'its mesh did not acknowledge a drain within 5 s; the drain goes on without it',
    attributes: {},
  });
}
