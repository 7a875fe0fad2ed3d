// A job brought to its spec. What its iterations are (which run, which have ended and how) is decided and stored first; only what is stored is
// acted on, in the next pass, so that tasks of an iteration that nobody has begun are never made. Pure.
import { JobState, JobStatus } from '../../proto/index.ts';
import { planIterations } from './job-iterations.ts';
import { type IterationView, viewIterations } from './job-view.ts';
import { forgetSlot, settleIteration } from './job-slots.ts';
import { markLateMeshes } from './late-meshes.ts';
import type { Pass } from './pass.ts';
import type { Plan, WriteGroup } from './plan.ts';
import { oldSpecs } from './reap.ts';
import type { SlotEdit } from './slot-edit.ts';
import { type SlotTasks, slotsOf } from './slot.ts';

export function reconcileJob(pass: Pass): Plan {
  const slots = slotsOf(pass.view, pass.serviceId);
  const job = pass.rollout.status?.value.job ?? JobStatus.create();
  const views = viewIterations(pass, job, slots);
  const next = planIterations(pass, job, views);
  // In every pass, whether or not its writes are used: what is asked for now is what the leader goes on remembering.
  const unknown = unknownSlots(views, slots);
  const edits = [...settleAll(pass, views, unknown), ...unknown.map((slot) => forgetSlot(pass, slot))];
  if (next !== undefined) return { groups: [next], wakeInMs: pass.wakeInMs };
  const groups = edits.flatMap((edit): readonly WriteGroup[] => {
    const group = edit.build();
    return group === undefined ? [] : [group];
  });
  groups.push(...markLateMeshes(pass), ...oldSpecs(pass, usedSpecs(job, slots)));
  return { groups, wakeInMs: pass.wakeInMs };
}

function settleAll(pass: Pass, views: readonly IterationView[], unknown: readonly SlotTasks[]): readonly SlotEdit[] {
  // Of iterations that are over, something may still run, also where they are not kept: it takes the place of something new.
  const over = views.filter(({ isOpen }) => !isOpen).flatMap(({ slots }) => [...slots.values()]);
  const leaving = [...over, ...unknown];
  return views.flatMap((view) => settleIteration(pass, view, leaving));
}

/** Of iterations that are not kept any more. */
function unknownSlots(views: readonly IterationView[], slots: ReadonlyMap<string, SlotTasks>): readonly SlotTasks[] {
  const known = new Set(views.flatMap((view) => [...view.slots.values()].map(({ key }) => key)));
  return [...slots.values()].filter(({ key }) => !known.has(key));
}

function usedSpecs({ iterations }: JobStatus, slots: ReadonlyMap<string, SlotTasks>): ReadonlySet<number> {
  const used = new Set(iterations.filter(({ state }) => state === JobState.JOB_RUNNING).map(({ specNumber }) => specNumber));
  for (const { holder, others } of slots.values()) {
    for (const info of [holder, ...others]) if (info !== undefined) used.add(info.task.specNumber);
  }
  return used;
}
