// I3: nobody who is no longer leader, or no longer holds a node's session, changes anything: judged at the moment of each commit, by what the store has then.
import { parseKey, type TableName } from '../../../manager/state/keys.ts';
import { NodeStatus, NodeState } from '../../../proto/index.ts';
import { short } from '../core/trace.ts';
import type { Truth } from '../truth/truth.ts';

/** Written by the leader alone; of others it alone deletes rows. */
const LEADERS: ReadonlySet<TableName> = new Set(['tasks', 'slots', 'serviceStatus', 'nodeWatch', 'eventFloor']);
const DELETED_BY_LEADERS: ReadonlySet<TableName> = new Set(['specs', 'taskStatus', 'events']);
/** Written by any manager, but only together with what it tells of: alone by the leader. */
const WITH: ReadonlyMap<TableName, ReadonlySet<TableName>> = new Map([
  ['byPort', new Set<TableName>(['services'])],
  ['routeFloor', new Set<TableName>(['services', 'nodes'])],
  ['events', new Set<TableName>(['services', 'rebalance', 'nodes', 'cluster', 'sessions', 'nodeStatus', 'taskStatus'])],
]);

export function writersAreFenced(truth: Truth): void {
  const { mirror, world } = truth;
  truth.listen({
    commit(by, transaction) {
      const manager = world.managers.find((one) => one.name === by.name);
      if (manager === undefined) return undefined;
      const problems: string[] = [];
      const leader = mirror.get('leader', '')?.value.managerId;
      const leads = leader === manager.id;
      const written = new Set(transaction.ops.map((op) => parseKey(op.key)?.table));
      const isLeaders = (table: TableName, isDeleted: boolean): boolean => {
        const companions = WITH.get(table);
        const isAlone = companions !== undefined && ![...companions].some((other) => written.has(other));
        return LEADERS.has(table) || isAlone || (isDeleted && DELETED_BY_LEADERS.has(table));
      };
      for (const op of transaction.ops) {
        const parsed = parseKey(op.key);
        if (parsed === undefined) continue;
        const { table, id } = parsed;
        if (!leads && isLeaders(table, op.type === 'delete'))
          problems.push(`${by.name} wrote ${table} ${short(id)}, and ${nameOf(leader)} leads`);
        const nodeId = table === 'taskStatus' ? mirror.get('tasks', id)?.value.nodeId : table === 'nodeStatus' ? id : undefined;
        if (nodeId === undefined || op.type === 'delete') continue;
        const holder = mirror.get('sessions', nodeId)?.value.managerId;
        if (holder === manager.id) continue;
        if (table === 'taskStatus' || !leads)
          problems.push(`${by.name} wrote ${table} ${short(id)}, and ${nameOf(holder)} holds the session of its node`);
        else if (
          NodeStatus.decode(op.value).state === NodeState.NODE_DOWN &&
          mirror.get('nodeStatus', nodeId)?.value.state !== NodeState.NODE_DOWN &&
          mirror.get('managers', holder ?? '') !== undefined
        ) {
          problems.push(`${by.name} marked node ${short(nodeId)} down, whose session ${nameOf(holder)} holds, which is there`);
        }
      }
      if (problems.length === 0) return undefined;
      return (revision) => {
        for (const problem of problems) truth.fail('I3', `${problem} (revision ${revision})`);
      };
    },
  });
  const nameOf = (id: string | undefined): string => world.managers.find((manager) => manager.id === id)?.name ?? 'nobody';
}
