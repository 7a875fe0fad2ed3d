// Why a task is not what it shall be, or was stopped, though it has not failed: in the words that progress and `service ps` share. Pure.
import { formatDurationMs } from '../../lib/units.ts';
import { JobState, type ServiceSpec, type Task, TaskState, type TaskStatus } from '../../proto/index.ts';
import { isPublishedBy, portId, specOf, type StateView } from '../state/index.ts';
import { aboutText } from '../explain/times.ts';
import { ingressTargets } from './services/service-view.ts';
import { type SeenTask } from './task-state.ts';
import { earlierError } from './task-words.ts';

/** Below this every task takes its time, and a remark would only flicker by. */
const USUAL_MS = 3000;
/** What an agent says of every task on its way. */
const USUAL_MESSAGES: ReadonlySet<string> = new Set(['accepted', 'preparing', 'prepared', 'starting', 'started', '']);

/** For people; empty: nothing to say. Of a task that runs, only once it has been as it is for a few seconds. */
export function remarkOf(state: StateView, task: Task, seen: SeenTask, nowUnixMs: number): string {
  if (task.jobIteration !== undefined && task.desired > TaskState.COMPLETE) return whyIterationEnded(state, task, seen);
  if (task.desired === TaskState.READY) return delayRemark(state, task, seen, nowUnixMs);
  if (task.desired !== TaskState.RUNNING || task.lost || seen.error !== '') return '';
  if (seen.state < TaskState.ACCEPTED || seen.state > TaskState.RUNNING || nowUnixMs - seen.sinceUnixMs < USUAL_MS) return '';
  if (!USUAL_MESSAGES.has(seen.message)) return seen.message;
  if (seen.state !== TaskState.RUNNING || task.drain) return '';
  const spec = specOf(state, task.serviceId, task.specNumber);
  return spec === undefined ? '' : (portsNotReady(spec, seen.status) ?? portsNotOpened(state, task));
}

/** Of a task of a job that was stopped before it was done: what became of the run that it was part of. */
function whyIterationEnded(state: StateView, { serviceId, jobIteration }: Task, seen: SeenTask): string {
  if (seen.error !== '' || seen.state === TaskState.COMPLETE) return '';
  const iterations = state.get('serviceStatus', serviceId)?.value.job?.iterations ?? [];
  const iteration = iterations.find(({ number }) => number === jobIteration);
  const wasCut = iteration?.state === JobState.JOB_FAILED || iteration?.state === JobState.JOB_REPLACED;
  return wasCut ? iteration.message : '';
}

/** What is left of the restart delay of a task that is prepared and waits for it. */
function delayRemark(state: StateView, task: Task, seen: SeenTask, nowUnixMs: number): string {
  const { attempt = 0, delayMs = 0 } = task.restart ?? {};
  const leftMs = task.createdUnixMs + delayMs - nowUnixMs;
  if (delayMs === 0 || seen.error !== '' || task.lost || seen.state < TaskState.ACCEPTED || seen.state > TaskState.READY) return '';
  // A leader that took over since then lets the delay begin anew; when that was is not in the store.
  const leaderSince = state.get('leader', '')?.createRevision ?? 0;
  const isAnew = leaderSince > (state.get('tasks', task.id)?.createRevision ?? 0);
  if (leftMs <= 0 && !isAnew) return '';
  const when = isAnew ? `within ${formatDurationMs(delayMs)}` : `in about ${aboutText(leftMs)}`;
  const earlier = earlierError(state, task);
  return `restarts ${when}, attempt ${attempt}${earlier === '' ? '' : `; the last one failed: ${earlier}`}`;
}

/** What its node says of published ports of its service: the other nodes answer there, this one does not. */
function portsNotOpened(state: StateView, { nodeId, serviceId }: Task): string {
  const problems = state.get('nodeStatus', nodeId)?.value.portProblems ?? [];
  const own = problems.filter(({ protocol, publishedPort }) => {
    const claim = state.get('byPort', portId(protocol, publishedPort))?.value;
    return claim !== undefined && isPublishedBy(claim, serviceId);
  });
  return own.map(({ message }) => `not answered on this node: ${message}`).join('; ');
}

/** Undefined: it carries traffic, or publishes no port on every node. */
export function portsNotReady(spec: ServiceSpec, status: TaskStatus | undefined): string | undefined {
  const ready = new Set(status?.endpoints.filter((endpoint) => endpoint.ready).map((endpoint) => endpoint.targetPort));
  const missing = ingressTargets(spec).filter((port) => !ready.has(port));
  return missing.length === 0 ? undefined : `waiting until it accepts connections on port ${missing.join(', ')}`;
}
