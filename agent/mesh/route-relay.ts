// What stands between the managers' route tables and this node's mesh: pure bookkeeping of epochs, and one table at most in memory, only while the
// mesh is not up. The mesh has its table on disk; whatever the agent lacks, a manager has.
import type { DrainingIdle, Epoch, PortProblem, RouteReport } from '../../proto/index.ts';
import { describeEpoch, orderOf, refusalOf, sameEpoch } from '../session/epochs.ts';

export interface RelayTarget {
  sendTable(table: Uint8Array): boolean;
  sendDelta(delta: Uint8Array): boolean;
  sendEnded(taskIds: readonly string[]): void;
}

export type RelayResult =
  | { readonly kind: 'passed' | 'held' }
  /** The whole table is needed from a manager. */
  | { readonly kind: 'gap'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

export interface RouteRelay {
  table(epoch: Epoch | undefined, bytes: Uint8Array, clusterId: string): RelayResult;
  delta(base: Epoch | undefined, result: Epoch | undefined, bytes: Uint8Array, clusterId: string): RelayResult;
  /** The mesh is up with the table of `epoch`; what is held is sent. */
  up(mesh: RelayTarget, epoch: Epoch | undefined): RelayResult;
  down(): void;
  /** Tasks of this node that have ended, all of them: the mesh hears of them from here, for without a session no table tells it. */
  ended(taskIds: readonly string[]): void;
  acknowledged(epoch: Epoch): void;
  idle(idle: DrainingIdle): void;
  portProblems(ports: readonly PortProblem[]): void;
  report(): RouteReport;
  /** Newest that the mesh has: for Register. */
  ack(): Epoch | undefined;
}

const PASSED = { kind: 'passed' } as const;

export function routeRelay(): RouteRelay {
  let mesh: RelayTarget | undefined;
  /** Newest table that was passed on, or that the mesh had. */
  let newest: Epoch | undefined;
  let held: { readonly epoch: Epoch | undefined; readonly bytes: Uint8Array } | undefined;
  let acked: Epoch | undefined;
  let idle: DrainingIdle | undefined;
  let problems: readonly PortProblem[] = [];
  let ended: readonly string[] = [];

  /** The idle list holds under the acknowledged epoch: a target once idle stays so, and a list of a later epoch waits for that one. */
  const idleTasks = (): readonly string[] => {
    if (acked === undefined || idle?.epoch === undefined) return [];
    const order = orderOf(idle.epoch, acked, acked.clusterId);
    return order === 'same' || order === 'older' ? idle.idleTaskIds : [];
  };
  const dropped = (): RelayResult => {
    newest = acked;
    return { kind: 'gap', reason: 'the mesh does not read its tables' };
  };
  return {
    table(epoch, bytes, clusterId) {
      const reason = refusalOf(epoch, newest, clusterId);
      if (reason !== undefined) return { kind: 'refused', reason };
      newest = epoch;
      if (mesh === undefined) {
        held = { epoch, bytes };
        return { kind: 'held' };
      }
      return mesh.sendTable(bytes) ? PASSED : dropped();
    },
    delta(base, result, bytes, clusterId) {
      const reason = refusalOf(result, newest, clusterId);
      if (reason !== undefined) return { kind: 'refused', reason };
      if (!sameEpoch(base, newest))
        return { kind: 'gap', reason: `an increment stands on ${describeEpoch(base)}; this node has ${describeEpoch(newest)}` };
      if (mesh === undefined) {
        // Asked for again once the mesh is up: up() then finds it behind.
        held = undefined;
        newest = result;
        return { kind: 'held' };
      }
      newest = result;
      return mesh.sendDelta(bytes) ? PASSED : dropped();
    },
    up(target, epoch) {
      mesh = target;
      acked = epoch;
      if (ended.length > 0) target.sendEnded(ended);
      const waiting = held;
      held = undefined;
      if (waiting !== undefined) return sameEpoch(waiting.epoch, epoch) || target.sendTable(waiting.bytes) ? PASSED : dropped();
      if (newest === undefined || sameEpoch(newest, epoch)) {
        newest = epoch;
        return PASSED;
      }
      newest = epoch;
      return { kind: 'gap', reason: `the mesh has the table of ${describeEpoch(epoch)}, which is not the newest` };
    },
    down() {
      mesh = undefined;
      // Not in `up`: what the next mesh greets with may be here before it is said to be up. Who was idle stays so, as draining tasks get nothing new.
      problems = [];
    },
    ended(taskIds) {
      ended = taskIds;
      mesh?.sendEnded(ended);
    },
    acknowledged(epoch) {
      acked = epoch;
    },
    idle(next) {
      idle = next;
    },
    portProblems(ports) {
      problems = ports;
    },
    report: () => ({ ack: acked, idleTaskIds: idleTasks(), portProblems: problems, meshUp: mesh !== undefined }),
    ack: () => acked,
  };
}
