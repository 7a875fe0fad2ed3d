// What preemption does, or could do, for a task that no node takes. The scheduler itself is asked, for other gaps and priorities too.
import { Finding, Placement } from '../../proto/index.ts';
import { tenantsAbove } from '../leader/make-room.ts';
import type { Inventory } from '../scheduler/inventory.ts';
import { type Preemption, Preemptor } from '../scheduler/preempt.ts';
import { shapeOf } from '../scheduler/shape.ts';
import { specOf, type StateView } from '../state/index.ts';
import type { Candidate } from './considered-nodes.ts';
import { nodeName, taskName } from './node-tenants.ts';

/** Higher ones are not accepted. */
const MAX_PRIORITY = 1_000_000;

/** Undefined: it makes no difference, whatever it is set to. */
export function preemptionFinding(view: StateView, inventory: Inventory, candidate: Candidate, serviceName: string): Finding | undefined {
  if (candidate.nodeId !== '') return undefined;
  const gap = view.get('cluster', '')?.value.settings?.preemptionGap ?? 0;
  const priority = candidate.spec.placement?.priority ?? 0;
  const ask = (withGap: number, withPriority: number): Preemption | undefined => {
    const placement = Placement.create({ ...candidate.spec.placement, priority: withPriority });
    const shape = shapeOf({ ...candidate.spec, placement }, candidate.ports);
    return new Preemptor(inventory, tenantsAbove(view, withGap, new Set())).forGroup(shape, candidate.serviceId)();
  };
  const now = ask(Math.max(1, gap), priority);
  if (now !== undefined && gap > 0) {
    const names = now.taskIds.length === 0 ? 'tasks there' : namesOf(view, now);
    return finding(now, 'preempting', `${names} of lower priority make room for it on ${nodeName(view, now.nodeId)}`, '');
  }
  if (now !== undefined && now.taskIds.length > 0) {
    const most = priority - Math.max(...now.taskIds.map((id) => priorityOf(view, id)));
    const wayOut = `\`shoal cluster update --preemption-gap ${most}\` lets it take the place of ${namesOf(view, now)} on ${nodeName(view, now.nodeId)}`;
    return finding(now, 'preemption-off', `there are tasks of a priority lower than its ${priority}, but preemption is off`, wayOut);
  }
  if (gap === 0) return undefined;
  for (const lower of prioritiesIn(view)) {
    const needed = lower + gap;
    if (needed <= priority || needed > MAX_PRIORITY) continue;
    const then = ask(gap, needed);
    if (then === undefined || then.taskIds.length === 0) continue;
    const reason = `its priority ${priority} is not above that of others by the ${gap} that preemption takes`;
    const wayOut = `\`shoal service update --priority ${needed} ${serviceName}\` lets it take the place of ${namesOf(view, then)} on ${nodeName(view, then.nodeId)}`;
    return finding(then, 'priority-too-low', reason, wayOut);
  }
  return undefined;
}

function finding({ nodeId }: Preemption, kind: string, reason: string, wayOut: string): Finding {
  return Finding.create({ kind, reason, wayOut, nodeId });
}

function namesOf(view: StateView, { taskIds }: Preemption): string {
  return taskIds
    .map((id) => {
      const task = view.get('tasks', id)?.value;
      return task === undefined ? id : `${taskName(view, task)} (priority ${priorityOf(view, id)})`;
    })
    .join(', ');
}

function priorityOf(view: StateView, taskId: string): number {
  const task = view.get('tasks', taskId)?.value;
  return (task && specOf(view, task.serviceId, task.specNumber)?.task?.placement?.priority) ?? 0;
}

/** Lowest first. */
function prioritiesIn(view: StateView): readonly number[] {
  const found = new Set<number>();
  for (const { value } of view.all('tasks')) found.add(specOf(view, value.serviceId, value.specNumber)?.task?.placement?.priority ?? 0);
  return [...found].sort((one, other) => one - other);
}
