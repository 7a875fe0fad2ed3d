// One service as users see it: newest and previous spec, progress of its update, counts, and nodes that could not open its ports.
import { NodeState, PortMode, type Service, ServiceMode, type ServiceSpec, ServiceView, TaskState } from '../../../proto/index.ts';
import type { NodePortProblem, TaskReadiness } from '../../../proto/index.ts';
import { activeSpecOf, isPaused, portId, publishersOf, type Row, type StateView } from '../../state/index.ts';
import { withoutLogin } from '../spec-secrets.ts';
import { hostnameOf, taskName } from '../task-names.ts';
import { canaryView } from './canary-view.ts';
import { previousSpec } from './history.ts';
import { isRunning, seenTask, shallRun } from '../task-state.ts';
import { isJobMode } from '../job-mode.ts';
import { jobCounts } from './job-view.ts';

export function serviceView(state: StateView, row: Row<Service>, problems = portProblemsByService(state)): ServiceView {
  const service = row.value;
  const active = activeSpecOf(state, row.id);
  const spec = active?.spec;
  const previous = previousSpec(state, row);
  return ServiceView.create({
    id: row.id,
    version: row.modRevision,
    createdUnixMs: service.createdUnixMs,
    updatedUnixMs: service.updatedUnixMs,
    spec: spec && withoutLogin(spec),
    specNumber: active?.number ?? service.specNumber,
    previousSpec: previous && withoutLogin(previous.spec),
    previousSpecNumber: previous?.number ?? 0,
    status: state.get('serviceStatus', row.id)?.value,
    ...(spec !== undefined && isJobMode(spec.mode) ? jobCounts(state, row.id, spec) : countTasks(state, row.id, spec)),
    portProblems: problems.get(row.id) ?? [],
    notReady: notReady(state, row.id),
    canary: canaryView(state, row),
    pause: isPaused(service, state.get('serviceStatus', row.id)?.value) ? service.pause : undefined,
  });
}

/** Tasks on nodes that are gone do not count as running, whatever they were last heard to be. */
function countTasks(state: StateView, serviceId: string, spec: ServiceSpec | undefined): { runningTasks: number; desiredTasks: number } {
  let runningTasks = 0;
  const globalNodes = new Set<string>();
  for (const { id, value: task } of state.tasksOfService(serviceId)) {
    if (!shallRun(task) || task.lost || task.canary) continue;
    globalNodes.add(task.nodeId === '' ? id : task.nodeId);
    if (isRunning(state, task)) runningTasks++;
  }
  const isGlobal = spec?.mode === ServiceMode.GLOBAL;
  return { runningTasks, desiredTasks: isGlobal ? globalNodes.size : (spec?.replicas ?? 0) };
}

const MAX_NOT_READY = 100;

function notReady(state: StateView, serviceId: string): readonly TaskReadiness[] {
  const found: TaskReadiness[] = [];
  for (const { id, value: task } of state.tasksOfService(serviceId)) {
    if (!shallRun(task) || task.lost) continue;
    const seen = seenTask(state, task);
    const readiness = seen.state === TaskState.RUNNING ? seen.status?.readiness : undefined;
    if (readiness?.ready !== false) continue;
    found.push({ taskId: id, taskName: taskName(state, task), nodeHostname: hostnameOf(state, task.nodeId), readiness });
    if (found.length === MAX_NOT_READY) break;
  }
  return found;
}

/** What nodes report of ports that they could not open, by the services that publish the port. */
export function portProblemsByService(state: StateView): ReadonlyMap<string, readonly NodePortProblem[]> {
  const problems = new Map<string, NodePortProblem[]>();
  for (const { id: nodeId, value: status } of state.all('nodeStatus')) {
    // One that is down answers nothing, and will tell anew when it is back.
    if (status.state !== NodeState.NODE_READY) continue;
    for (const problem of status.portProblems) {
      const claim = state.get('byPort', portId(problem.protocol, problem.publishedPort))?.value;
      for (const serviceId of claim === undefined ? [] : publishersOf(claim)) {
        const list = problems.get(serviceId) ?? [];
        list.push({ nodeId, hostname: hostnameOf(state, nodeId), problem });
        problems.set(serviceId, list);
      }
    }
  }
  return problems;
}

/** Target ports that the mesh must be able to reach before a task carries traffic. */
export function ingressTargets(spec: ServiceSpec): readonly number[] {
  return [...new Set(spec.ports.filter((port) => port.mode === PortMode.INGRESS).map((port) => port.targetPort))];
}
