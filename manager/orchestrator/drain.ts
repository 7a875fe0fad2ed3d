// When a draining task may be told to stop (mesh.md, "Nothing is dropped, by construction"). Pure.
//
// Every READY node whose mesh counts must have acknowledged a table in which the task drains; then either all of them have no connection to it any
// more, or the drain period is over. A mesh that does not acknowledge in time is named, to be marked unready: then it is excused.
import { type NodeRouteAck, NodeState, type NodeStatus, type RouteAcks, type Task } from '../../proto/index.ts';
import type { Row, StateView } from '../state/index.ts';
import type { FirstSeen } from './plan.ts';

export const ACK_DEADLINE_MS = 5000;

/** What the meshes have said, as far as drains are concerned. */
export interface MeshAcks {
  /** READY nodes whose mesh is not excused. */
  readonly awaited: readonly Row<NodeStatus>[];
  /** By node: each manager's report of it; more than one where it moved. */
  readonly reports: ReadonlyMap<string, readonly Report[]>;
  /** All awaited ones have acknowledged a table at least that new: spares a look at each of them for each task that drains. */
  readonly ackedRevision: number;
}

interface Report {
  readonly revision: number;
  readonly idle: ReadonlySet<string>;
}

export type DrainStep =
  | { readonly kind: 'done' }
  | { readonly kind: 'waiting'; readonly wakeInMs: number }
  /** These nodes' meshes are late. */
  | { readonly kind: 'overdue'; readonly nodes: readonly Row<NodeStatus>[] };

export interface DrainClock {
  readonly nowMs: number;
  readonly seen: FirstSeen;
  /** The service: the owner of what is remembered. */
  readonly owner: string;
}

const REPORTS = new WeakMap<NodeRouteAck, Report>();

export function readAcks(view: StateView): MeshAcks {
  const cluster = view.get('cluster', '')?.value;
  const awaited = [...view.all('nodeStatus')].filter(
    ({ id, value }) => value.state === NodeState.NODE_READY && !value.meshUnready && view.get('nodes', id) !== undefined,
  );
  const reports = new Map<string, Report[]>();
  for (const { value } of view.all('routeAcks')) collect(value, cluster?.incarnation ?? '', reports);
  let ackedRevision = Number.POSITIVE_INFINITY;
  for (const { id } of awaited) {
    const newest = Math.max(0, ...(reports.get(id) ?? []).map(({ revision }) => revision));
    if (newest < ackedRevision) ackedRevision = newest;
  }
  return { awaited, reports, ackedRevision };
}

function collect(acks: RouteAcks, incarnation: string, reports: Map<string, Report[]>): void {
  for (const ack of acks.nodes) {
    // What was acknowledged of another history says nothing about this one.
    if (ack.epoch?.incarnation !== incarnation) continue;
    let report = REPORTS.get(ack);
    if (report === undefined) {
      report = { revision: ack.epoch.revision, idle: new Set(ack.idleTaskIds) };
      REPORTS.set(ack, report);
    }
    const list = reports.get(ack.nodeId);
    if (list === undefined) reports.set(ack.nodeId, [report]);
    else list.push(report);
  }
}

/** `row` is the task as it was marked: its mod revision is what must be acknowledged. */
export function drainStep(acks: MeshAcks, row: Row<Task>, periodMs: number, { nowMs, seen, owner }: DrainClock): DrainStep {
  const startedMs = seen.sinceMs(owner, `drain:${row.id}`);
  const isAcked = (node: Row<NodeStatus>): boolean =>
    acks.reports.get(node.id)?.some(({ revision }) => revision >= row.modRevision) ?? false;
  const outstanding = acks.ackedRevision >= row.modRevision ? [] : acks.awaited.filter((node) => !isAcked(node));
  const ackedKey = `acked:${row.id}`;
  // Asked for in any case, so that a node that joins late does not start the drain period anew.
  const wasAcked = seen.has(owner, ackedKey);
  if (outstanding.length > 0) {
    const waits = outstanding.map((node) => {
      // A node that changed after the mark may have become READY only then.
      const sinceMs = node.modRevision > row.modRevision ? seen.sinceMs(owner, `ack:${row.id}:${node.id}`) : startedMs;
      return { node, leftMs: sinceMs + ACK_DEADLINE_MS - nowMs };
    });
    const overdue = waits.filter(({ leftMs }) => leftMs <= 0).map(({ node }) => node);
    if (overdue.length > 0) return { kind: 'overdue', nodes: overdue };
    return { kind: 'waiting', wakeInMs: Math.min(...waits.map(({ leftMs }) => leftMs)) };
  }
  // "Idle" stays true once said of a table in which the task drains.
  const isIdle = ({ id }: Row<NodeStatus>): boolean =>
    acks.reports.get(id)?.some(({ revision, idle }) => revision >= row.modRevision && idle.has(row.id)) ?? false;
  const ackedMs = seen.sinceMs(owner, ackedKey);
  const leftMs = (wasAcked ? ackedMs : nowMs) + periodMs - nowMs;
  if (leftMs <= 0 || acks.awaited.every(isIdle)) return { kind: 'done' };
  return { kind: 'waiting', wakeInMs: leftMs };
}
