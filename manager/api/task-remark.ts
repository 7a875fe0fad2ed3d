// Why a task is not what it shall be, though it has not failed: in the words that progress and `service ps` share. Pure.
import { type ServiceSpec, type Task, TaskState, type TaskStatus } from '../../proto/index.ts';
import { isPublishedBy, portId, specOf, type StateView } from '../state/index.ts';
import { ingressTargets } from './services/service-view.ts';
import { type SeenTask } from './task-state.ts';

/** Below this every task takes its time, and a remark would only flicker by. */
const USUAL_MS = 3000;
/** What an agent says of every task on its way. */
const USUAL_MESSAGES: ReadonlySet<string> = new Set(['accepted', 'preparing', 'prepared', 'starting', 'started', '']);

/** For people; empty: nothing to say. Of a task that has been as it is for a few seconds. */
export function remarkOf(state: StateView, task: Task, seen: SeenTask, nowUnixMs: number): string {
  if (task.desired !== TaskState.RUNNING || task.lost || seen.error !== '') return '';
  if (seen.state < TaskState.ACCEPTED || seen.state > TaskState.RUNNING || nowUnixMs - seen.sinceUnixMs < USUAL_MS) return '';
  if (!USUAL_MESSAGES.has(seen.message)) return seen.message;
  if (seen.state !== TaskState.RUNNING || task.drain) return '';
  const spec = specOf(state, task.serviceId, task.specNumber);
  return spec === undefined ? '' : (portsNotReady(spec, seen.status) ?? portsNotOpened(state, task));
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
