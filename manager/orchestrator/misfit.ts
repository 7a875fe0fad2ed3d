// Tasks whose node is not, or no longer, what they ask for. Where the node has changed they are evicted: by their own spec they must not be there.
// Where the service has changed they are moved as in an update.
import { TaskState, type TaskVerdict } from '../../proto/index.ts';
import { placementProblem } from '../constraint/index.ts';
import { overfullProblem } from './overfull.ts';
import type { Pass } from './pass.ts';
import type { TaskInfo } from './task-info.ts';

/** Why the node is not allowed by the active placement; for tasks that run the active spec. */
export function misfit(pass: Pass, { node, nodeStatus }: TaskInfo): string | undefined {
  return node === undefined ? undefined : placementProblem(pass.spec.task?.placement, node, nodeStatus);
}

/** The service was changed so that its task may not stay where it is, be it for its placement alone; a global one comes and goes with its node. */
export function isOutgrown(pass: Pass, info: TaskInfo): boolean {
  return !pass.isGlobal && pass.isClean(info) && misfit(pass, info) !== undefined;
}

/** Why the task must leave its node though nobody has changed its service; never for global ones, which come and go with their nodes. */
export function evictionReason(pass: Pass, info: TaskInfo): string | undefined {
  const { node, nodeStatus, nodeCondition, spec } = info;
  if (pass.isGlobal || nodeCondition !== 'ready' || node === undefined || spec === undefined) return undefined;
  if (info.task.preempted !== '') return info.task.preempted;
  const problem = placementProblem(spec.task?.placement, node, nodeStatus);
  // A placement that was widened since concerns it as well.
  if (problem !== undefined && (!pass.isClean(info) || misfit(pass, info) !== undefined)) return problem;
  return overfullProblem(pass, info);
}

/** What the leader says of a task that is stopped because it no longer fits its node. */
export function stopVerdict(pass: Pass, info: TaskInfo): TaskVerdict | undefined {
  if (pass.isGlobal || info.nodeCondition !== 'ready') return undefined;
  const problem = evictionReason(pass, info) ?? (pass.isClean(info) ? misfit(pass, info) : undefined);
  if (problem === undefined) return undefined;
  const message = info.task.preempted === '' ? `no longer fits its node: ${problem}` : problem;
  return { state: TaskState.REJECTED, message, sinceUnixMs: pass.context.wallMs };
}
