// Reconciles one service: from what is stored to the writes that bring it nearer to its spec. Running it again on the state after its
// own writes leads to no further ones until something else changes or time passes.
import { NodeState, ServiceMode, TaskState } from '../../proto/index.ts';
import { failedConstraint } from '../constraint/index.ts';
import { specOf, type StateView } from '../state/index.ts';
import { drainView } from './drain.ts';
import { wantedNodes } from './global.ts';
import type { Plan, ReconcileContext } from '../orchestrator/plan.ts';
import { clear, reapHistory, reapSpecs } from './reap.ts';
import { wantedSlots } from './replicated.ts';
import { failedUpdate, isMonitored, rollOut, type RolloutSlot } from './rollout.ts';
import { isPaused, isUpdating, writeStatus } from './service-status.ts';
import { fill, misplacementOf, settleNode, type Slot, slotsOf } from './slots.ts';
import { factsOf, isLive, type TaskFacts } from './task-facts.ts';
import { slotOf, type Target, Work } from './work.ts';

export function reconcileService(view: StateView, serviceId: string, context: ReconcileContext): Plan {
  const work = new Work(view, serviceId, context);
  const tasks = [...view.tasksOfService(serviceId)].map((row) => factsOf(view, row));
  const service = view.get('services', serviceId)?.value;
  if (service === undefined) {
    removeAll(work, tasks);
    return work.plan();
  }
  const spec = specOf(view, serviceId, service.specNumber);
  // The rest of its transaction has not arrived yet.
  if (spec === undefined) return work.plan();
  bringTo(work, { number: service.specNumber, spec }, tasks);
  return work.plan();
}

/** Its ports were given up with the service, so nothing can be drained: its tasks are told to end at once. */
function removeAll(work: Work, tasks: readonly TaskFacts[]): void {
  for (const facts of tasks) {
    if (!clear(work, facts) && facts.task.desired !== TaskState.REMOVE) work.changeTask(facts, { desired: TaskState.REMOVE });
  }
  if (tasks.length > 0) return;
  reapSpecs(work, tasks, undefined);
  work.delete('specs', 'serviceStatus', work.view.get('serviceStatus', work.serviceId));
}

function bringTo(work: Work, target: Target, found: readonly TaskFacts[]): void {
  const drain = lazily(() => drainView(work.view));
  const settled = settleNodes(work, found);
  const slots = slotsOf(settled);
  const meetsConstraints = (facts: TaskFacts): boolean =>
    facts.node === undefined || failedConstraint(target.spec.task?.placement, facts.node, facts.nodeStatus) === undefined;
  const global = target.spec.mode === ServiceMode.GLOBAL;
  const kept = global
    ? wantedNodes(work, slots, target, drain, meetsConstraints)
    : wantedSlots(work, slots, target, drain, meetsConstraints);
  const whereOf = (slot: Slot) => (global ? { slot: 0, nodeId: slot.key } : { slot: Number(slot.key), nodeId: '' });
  for (const slot of kept) {
    if (!global || mayFill(work, slot)) fill(work, slot, target, whereOf(slot));
  }
  const rollouts: readonly RolloutSlot[] = kept.map((slot) => ({
    slot,
    where: whereOf(slot),
    misplacement: slot.holder === undefined ? undefined : misplacementOf(slot.holder, target, meetsConstraints(slot.holder)),
  }));
  const failed = isUpdating(work, target) ? failedUpdate(work, rollouts, target) : undefined;
  const toUpdate = rollOut(work, rollouts, target, drain, isPaused(work, target) || failed !== undefined);
  writeStatus(work, target, { toUpdate, failedSlot: failed }, () => isMonitored(work, rollouts, target));
  reapHistory(work, kept);
  reapSpecs(work, settled, target);
}

/** Nothing new is made on a node that is down or paused. */
function mayFill(work: Work, slot: Slot): boolean {
  return (
    slot.tasks.length === 0 || slot.holder !== undefined || work.view.get('nodeStatus', slot.key)?.value.state === NodeState.NODE_READY
  );
}

function settleNodes(work: Work, found: readonly TaskFacts[]): readonly TaskFacts[] {
  const filled = new Set(found.filter(isLive).map(({ task }) => slotOf(task)));
  return found.map((facts) => settleNode(work, facts, filled.has(slotOf(facts.task))));
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
