// Tasks whose node is not, or no longer, of the kind that their service asks for.
import { TaskState, type TaskVerdict } from '../../proto/index.ts';
import { placementProblem } from '../constraint/index.ts';
import type { Pass } from './pass.ts';
import type { TaskInfo } from './task-info.ts';

/** Why the node is not allowed by the active placement; for tasks that run the active spec. */
export function misfit(pass: Pass, { node, nodeStatus }: TaskInfo): string | undefined {
  return node === undefined ? undefined : placementProblem(pass.spec.task?.placement, node, nodeStatus);
}

/** What the leader says of a task that is stopped because it no longer fits its node. */
export function stopVerdict(pass: Pass, info: TaskInfo): TaskVerdict | undefined {
  if (pass.isGlobal || info.nodeCondition !== 'ready' || !pass.isClean(info)) return undefined;
  const problem = misfit(pass, info);
  if (problem === undefined) return undefined;
  return { state: TaskState.REJECTED, message: `no longer fits its node: ${problem}`, sinceUnixMs: pass.context.wallMs };
}
