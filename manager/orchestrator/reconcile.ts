// One service brought to its spec: what is, what shall be, and the writes between. Pure, and repeatable: run again on a state that has its writes,
// it has nothing to say until something else changes or the time it named has come.
import { ServiceMode } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
import { adoptTrials, planTrial, withoutTrials } from './canary.ts';
import { clearSlot } from './clear-slot.ts';
import { reconcileJob } from './job.ts';
import { markLateMeshes } from './late-meshes.ts';
import { planMoves } from './moves.ts';
import { Pass } from './pass.ts';
import type { Plan, ReconcileContext, WriteGroup } from './plan.ts';
import { releasePorts } from './port-release.ts';
import { oldSpecs } from './reap.ts';
import { reconcileRemoved } from './removed-service.ts';
import { chooseSlots } from './scale.ts';
import { planRebalance } from './rebalance.ts';
import { rolloutOf } from './rollout.ts';
import { SlotEdit } from './slot-edit.ts';
import { settleSlot } from './slot-rules.ts';
import { slotsOf, type SlotTasks } from './slot.ts';
import { lookOut, planStatus } from './update.ts';

const NOTHING: Plan = { groups: [], wakeInMs: undefined };

/** Costs a pass over the service's own tasks; for global over the nodes, too. */
export function reconcileService(view: StateView, serviceId: string, context: ReconcileContext): Plan {
  const service = view.get('services', serviceId)?.value;
  if (service === undefined) return reconcileRemoved(view, serviceId);
  const rollout = rolloutOf(view, service);
  if (rollout === undefined) return NOTHING;
  const pass = new Pass(view, context, service, rollout);
  const { mode } = rollout.spec;
  return mode === ServiceMode.REPLICATED_JOB || mode === ServiceMode.GLOBAL_JOB ? reconcileJob(pass) : planService(pass);
}

function planService(pass: Pass): Plan {
  const all = slotsOf(pass.view, pass.serviceId);
  const { slots, trials } = withoutTrials(all);
  const adopted = adoptTrials(pass, slots, trials);
  // Who fills these slots now is seen by the next pass.
  if (adopted.length > 0) return { groups: adopted, wakeInMs: 0 };
  const choice = chooseSlots(pass, slots);
  if (choice.isCut) pass.wakeIn(0);
  const setback = lookOut(pass, choice.wanted);

  const editOf = (slot: SlotTasks): SlotEdit => new SlotEdit(pass.serviceId, slot, pass.context.wallMs);
  const wanted = choice.wanted.map(editOf);
  for (const edit of wanted) settleSlot(pass, edit);
  const moves = planMoves(pass, wanted, choice.unwanted);
  const rebalance = planRebalance(pass, wanted, moves);
  const unwanted = choice.unwanted.map(editOf);
  for (const edit of unwanted) clearSlot(pass, edit);

  const groups: WriteGroup[] = [];
  const trial = planTrial(pass, trials, choice.wanted);
  const status = planStatus(pass, setback, wanted, moves, rebalance, trial.outcome);
  if (status !== undefined && rebalance.moved === undefined) groups.push(status);
  for (const edit of [...wanted, ...unwanted, ...trial.edits]) {
    const group = edit.build();
    if (group === undefined) continue;
    groups.push(edit === rebalance.moved && status !== undefined ? joined(status, group) : group);
  }
  groups.push(...markLateMeshes(pass), ...releasePorts(pass), ...oldSpecs(pass, usedSpecs(all)));
  return { groups, wakeInMs: pass.wakeInMs };
}

/** What is said of the move is true only if it is made. */
function joined(status: WriteGroup, slot: WriteGroup): WriteGroup {
  const { serviceId } = slot;
  const [writes, requires] = [
    [...status.writes, ...slot.writes],
    [...status.requires, ...slot.requires],
  ];
  return { serviceId, writes, requires, events: [...status.events, ...slot.events] };
}

function usedSpecs(slots: ReadonlyMap<string, SlotTasks>): ReadonlySet<number> {
  const used = new Set<number>();
  for (const { holder, others } of slots.values()) {
    if (holder !== undefined) used.add(holder.task.specNumber);
    for (const other of others) used.add(other.task.specNumber);
  }
  return used;
}
