// Nodes whose manager is gone: their heartbeats went with it, so the leader judges them. Each gets the full time anew from the moment the leader
// saw the manager go, or took over; its agent finds another manager long before, unless the host is gone too.
import { startSteadyTime } from '../../lib/steady-time.ts';
import { NodeState, type NodeSession, NodeStatus } from '../../proto/index.ts';
import type { WriteGroup } from '../orchestrator/plan.ts';
import { type ChangeOf, type Change, QUIET_SHARE, type Row, type StateView, type TableName } from '../state/index.ts';
import { Committer } from './committer.ts';
import type { LeadOptions } from './leadership.ts';

export interface OrphanedNode {
  readonly nodeId: string;
  readonly session: Row<NodeSession>;
  readonly status: ChangeOf<'nodeStatus'>['after'];
}

/** Nodes that are not down yet, and whose session names a manager without a liveness row. Pure. */
export function orphanedNodes(state: StateView): readonly OrphanedNode[] {
  const orphans: OrphanedNode[] = [];
  for (const session of state.all('sessions')) {
    const nodeId = session.id;
    const status = state.get('nodeStatus', nodeId);
    if (state.get('managers', session.value.managerId) !== undefined || state.get('nodes', nodeId) === undefined) continue;
    if (status?.value.state !== NodeState.NODE_DOWN) orphans.push({ nodeId, session, status });
  }
  return orphans;
}

/** How long each has been an orphan. Pure; times are those of SteadyTime. */
export class OrphanTimes {
  /** By node and session: a new session is a new life. */
  #since = new Map<string, number>();

  /** Takes the orphans of now, forgets all others; answers those that have been orphans for `downAfterMs`. */
  overdue(orphans: readonly OrphanedNode[], nowMs: number, downAfterMs: number): readonly OrphanedNode[] {
    const since = new Map<string, number>();
    for (const orphan of orphans) since.set(keyOf(orphan), this.#since.get(keyOf(orphan)) ?? nowMs);
    this.#since = since;
    return this.olderThan(orphans, nowMs, downAfterMs);
  }

  /** Of those that were taken last. */
  olderThan(orphans: readonly OrphanedNode[], nowMs: number, ms: number): readonly OrphanedNode[] {
    return orphans.filter((orphan) => nowMs - (this.#since.get(keyOf(orphan)) ?? nowMs) >= ms);
  }
}

function keyOf({ nodeId, session }: OrphanedNode): string {
  return `${nodeId}/${session.modRevision}`;
}

/** That it may soon be down, as its manager would have said. */
export function quietGroup(orphan: OrphanedNode): WriteGroup {
  const { nodeId, status } = orphan;
  const value = { ...(status?.value ?? NodeStatus.create({ nodeId })), silent: true };
  return {
    serviceId: '',
    writes: [{ kind: 'put', table: 'nodeStatus', id: nodeId, value, before: status }],
    requires: stillOrphaned(orphan),
    events: [],
  };
}

function stillOrphaned({ nodeId, session }: OrphanedNode): WriteGroup['requires'] {
  return [
    { table: 'sessions', id: nodeId, row: session },
    { table: 'managers', id: session.value.managerId, row: undefined },
  ];
}

/** Compares the session and that its manager is away, so that an agent that registers meanwhile, anywhere, wins, and so does a manager that is back. */
export function downGroup(orphan: OrphanedNode, wallMs: number): WriteGroup {
  const { nodeId, session, status } = orphan;
  const message = `its manager ${session.value.managerId} is gone, and its agent registered with no other`;
  const before = status?.value ?? NodeStatus.create({ nodeId });
  const hostname = before.description?.hostname ?? '';
  return {
    serviceId: '',
    writes: [
      {
        kind: 'put',
        table: 'nodeStatus',
        id: nodeId,
        value: { ...before, state: NodeState.NODE_DOWN, message, sinceUnixMs: wallMs },
        before: status,
      },
    ],
    requires: stillOrphaned(orphan),
    events: [
      {
        timeUnixMs: wallMs,
        type: 'node',
        action: 'state',
        objectId: nodeId,
        objectName: hostname,
        message: `down: ${message}`,
        attributes: { state: 'down' },
      },
    ],
  };
}

function isNotNoted({ status }: OrphanedNode): boolean {
  return status?.value.state === NodeState.NODE_READY && !status.value.silent;
}

const TICK_MS = 250;
const STALL_MS = 100;
const DOWN_AFTER_MS = 5000;
const WATCHED: ReadonlySet<TableName> = new Set<TableName>(['sessions', 'managers', 'nodes', 'nodeStatus', 'cluster']);

/** Beside the leader's loop, for as long as it leads; resolves once `leadership.ended` and nothing is under way. */
export async function watchOrphanedNodes(options: LeadOptions): Promise<void> {
  const { state, clock, log, leadership } = options;
  const committer = new Committer(options);
  const times = new OrphanTimes();
  /** Undefined: something has changed. Looked for at the next tick and not at each change: it costs a pass over all nodes. */
  let orphans: readonly OrphanedNode[] | undefined;
  let committing: Promise<void> | undefined;
  const unsubscribe = state.subscribe((changes: readonly Change[]) => {
    if (changes.some((change) => WATCHED.has(change.table))) orphans = undefined;
  });
  const markDown = (orphan: OrphanedNode): Promise<void> =>
    committer.commit([downGroup(orphan, clock.wallMs())], ({ committed }) => {
      const { nodeId, session } = orphan;
      if (committed) log.warn('a node is down: its manager is gone', { node: nodeId, manager: session.value.managerId });
    });
  const judge = (stalled: boolean): void => {
    const downAfterMs = state.get('cluster', '')?.value.settings?.nodeDownAfterMs ?? DOWN_AFTER_MS;
    orphans ??= orphanedNodes(state);
    const overdue = times.overdue(orphans, time.nowMs(), downAfterMs);
    if (stalled || committing !== undefined || leadership.ended.aborted) return;
    // All of them before any is down: whether the tasks of the first one are replaced depends on how many are quiet with it.
    const quiet = times.olderThan(orphans, time.nowMs(), downAfterMs * QUIET_SHARE).filter(isNotNoted);
    if (quiet.length > 0) {
      commit(committer.commit(quiet.map(quietGroup), () => undefined));
      return;
    }
    if (overdue.length === 0) return;
    log.warn('nodes of a manager that is gone did not register elsewhere; marking them down', {
      nodes: overdue.map((node) => node.nodeId),
    });
    // One transaction each: an agent that registers at this moment keeps only its own node from being marked.
    commit(Promise.all(overdue.map(markDown)));
  };
  const commit = (commits: Promise<unknown>): void => {
    committing = commits.then(() => {
      committing = undefined;
    });
  };
  const time = startSteadyTime({ clock, tickMs: TICK_MS, stallMs: STALL_MS, onTick: judge });
  times.overdue(orphanedNodes(state), time.nowMs(), Number.POSITIVE_INFINITY);
  await new Promise<void>((resolve) => {
    if (leadership.ended.aborted) resolve();
    leadership.ended.addEventListener('abort', () => resolve(), { once: true });
  });
  time.stop();
  unsubscribe();
  await committing;
}
