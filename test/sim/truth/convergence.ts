// I6: what a cluster looks like that has come to rest: exact counts, every port answered by every replica and nothing else, on every mesh alike.
import { takesGlobalTask } from '../../../manager/constraint/index.ts';
import { AUTOMATIC_PAUSE_MS, CALM_MS } from '../../../manager/orchestrator/rebalance.ts';
import { taskDigest } from '../../../manager/orchestrator/spec-rules.ts';
import { seenSpecNumber } from '../../../manager/state/index.ts';
import {
  Availability,
  JobState,
  NodeState,
  PortMode,
  RebalancePolicy,
  RebalanceState,
  type Service,
  ServiceMode,
  type ServiceSpec,
  TargetState,
  TaskState,
} from '../../../proto/index.ts';
import type { Container } from '../parts/engine.ts';
import { short } from '../core/trace.ts';
import type { Finishes } from './finishes.ts';
import { isJob, type Truth } from './truth.ts';

/** Virtual time after which no schedule of a seed comes due any more. */
export const LAST_RUN_MS = 120_000;

/** What is not as it shall be; empty: it has converged. */
export function whatIsMissing(truth: Truth, finishes: Finishes): string[] {
  const problems: string[] = [];
  const { mirror } = truth;
  const byService = new Map<string, Container[]>();
  for (const container of truth.containers()) {
    if (container.state !== 'running') continue;
    const list = byService.get(container.serviceId);
    if (list === undefined) byService.set(container.serviceId, [container]);
    else list.push(container);
  }
  for (const known of truth.nodes.values()) {
    const { node } = known;
    const row = [...mirror.all('nodeStatus')].find(({ value }) => value.description?.hostname === node.name);
    if (row === undefined) continue;
    if (row.value.state !== NodeState.NODE_READY) problems.push(`node ${node.name} is not ready`);
    if (truth.isAway(known)) problems.push(`the agent of ${node.name} has no session`);
    if (row.value.meshUnready) problems.push(`the mesh of ${node.name} is not taken for ready`);
  }
  const expected = new Map<number, readonly string[]>();
  for (const { id, value: service } of mirror.all('services')) {
    const spec = truth.activeSpec(id);
    if (spec === undefined) continue;
    const running = byService.get(id) ?? [];
    byService.delete(id);
    if (isJob(spec)) judgeJob(truth, id, spec, running, finishes, problems);
    else judgeService(truth, id, spec, running, problems);
    for (const port of spec.ports) {
      if (port.mode !== PortMode.INGRESS) continue;
      expected.set(port.publishedPort, running.map(({ taskId }) => taskId).sort());
    }
    judgeRebalance(truth, service, spec, problems);
    const seen = seenSpecNumber(mirror.get('serviceStatus', id)?.value);
    if (seen !== service.specNumber) problems.push(`service ${service.name} is at spec ${service.specNumber}, and the leader at ${seen}`);
    if (service.specNumber === 0) problems.push(`service ${service.name} has no spec`);
  }
  for (const [serviceId, left] of byService)
    problems.push(`${left.length} containers of service ${short(serviceId)}, which is gone, still run`);
  for (const { node } of truth.nodes.values()) judgeMesh(truth, node.name, expected, problems);
  return problems;
}

function judgeService(truth: Truth, serviceId: string, spec: ServiceSpec, running: readonly Container[], problems: string[]): void {
  const { mirror } = truth;
  const wanted = spec.mode === ServiceMode.GLOBAL ? globalNodes(truth, spec) : spec.replicas;
  if (running.length !== wanted) problems.push(`service ${spec.name} runs ${running.length} of ${wanted}`);
  const slots = new Set(running.map(({ slot }) => slot));
  if (slots.size !== running.length) problems.push(`service ${spec.name} runs a slot twice`);
  for (const container of running) {
    const own = truth.specOf(container);
    if (own === undefined || taskDigest(own) !== taskDigest(spec)) problems.push(`${truth.describe(container)} runs an older spec`);
    const status = mirror.get('taskStatus', container.taskId)?.value;
    if (status?.state !== TaskState.RUNNING)
      problems.push(`${truth.describe(container)} runs, and its status says ${status?.state ?? 'nothing'}`);
  }
  const runs = new Set(running.map(({ taskId }) => taskId));
  for (const { id, value } of mirror.all('tasks')) {
    if (value.serviceId === serviceId && value.desired === TaskState.RUNNING && !runs.has(id))
      problems.push(`task ${short(id)} shall run, and does not`);
  }
}

/** None is under way, or asked for, or about to begin by itself. */
function judgeRebalance(truth: Truth, { id, name }: Service, spec: ServiceSpec, problems: string[]): void {
  const status = truth.mirror.get('serviceStatus', id)?.value.rebalance;
  const wish = truth.mirror.get('rebalance', id)?.value.number ?? 0;
  if (status?.state === RebalanceState.REBALANCING || wish > (status?.request ?? 0)) problems.push(`service ${name} is being rebalanced`);
  const mayBegin = spec.rebalance === RebalancePolicy.REBALANCE_AUTO && truth.nowMs - truth.calmSinceMs < CALM_MS + AUTOMATIC_PAUSE_MS;
  if (mayBegin) problems.push(`service ${name} may be rebalanced by itself`);
}

/** Nothing of it runs, nothing will come due, and all of a job that runs once is done. */
function judgeJob(
  truth: Truth,
  serviceId: string,
  spec: ServiceSpec,
  running: readonly Container[],
  { of }: Finishes,
  problems: string[],
): void {
  const { mirror } = truth;
  if (running.length > 0) problems.push(`job ${spec.name} still runs ${running.length} tasks`);
  const job = mirror.get('serviceStatus', serviceId)?.value.job;
  const newest = job?.iterations.at(-1);
  for (const { number, state } of job?.iterations ?? [])
    if (state === JobState.JOB_RUNNING) problems.push(`iteration ${number} of job ${spec.name} has not ended`);
  const schedule = spec.job?.schedule;
  if (schedule !== undefined && !schedule.paused && truth.nowMs < LAST_RUN_MS) problems.push(`job ${spec.name} may come due`);
  if (schedule !== undefined || newest?.state === JobState.JOB_FAILED) return;
  if (newest === undefined) problems.push(`job ${spec.name} never began`);
  else if (spec.mode === ServiceMode.REPLICATED_JOB) {
    for (let slot = 1; slot <= spec.replicas; slot++)
      if (!of.has(`${serviceId}/${newest.number}.${slot}`)) problems.push(`slot ${slot - 1} of job ${spec.name} did not complete`);
  } else {
    for (const { id, value } of mirror.all('nodes')) {
      const isWanted = takesGlobalTask(spec.task?.placement, value, mirror.get('nodeStatus', id)?.value) && !newest.expired;
      if (isWanted && !of.has(`${serviceId}/${newest.number}.${id}`))
        problems.push(`job ${spec.name} did not complete on node ${short(id)}`);
    }
  }
}

function globalNodes(truth: Truth, spec: ServiceSpec): number {
  let count = 0;
  for (const { id, value } of truth.mirror.all('nodes')) {
    if (value.spec?.availability !== Availability.ACTIVE) continue;
    if (takesGlobalTask(spec.task?.placement, value, truth.mirror.get('nodeStatus', id)?.value)) count++;
  }
  return count;
}

function judgeMesh(truth: Truth, name: string, expected: ReadonlyMap<number, readonly string[]>, problems: string[]): void {
  const { node } = truth.nodeOf(name);
  const isMember = [...truth.mirror.all('nodeStatus')].some(({ value }) => value.description?.hostname === name);
  if (!isMember) return;
  if (node.mesh?.process.alive !== true) {
    problems.push(`no mesh runs on ${name}`);
    return;
  }
  const ports = new Map([...(node.mesh.table()?.ports.values() ?? [])].map((route) => [route.publishedPort, route]));
  for (const [port, tasks] of expected) {
    const route = ports.get(port);
    ports.delete(port);
    if (route === undefined) {
      problems.push(`${name} does not serve port ${port}`);
      continue;
    }
    const active = route.targets.filter(({ state }) => state === TargetState.TARGET_ACTIVE).map(({ taskId }) => taskId);
    if (route.targets.length !== active.length) problems.push(`port ${port} on ${name} still drains`);
    if (active.sort().join() !== tasks.join())
      problems.push(`port ${port} on ${name} leads to ${active.map(short).join(' ')}, running are ${tasks.map(short).join(' ')}`);
  }
  for (const port of ports.keys()) problems.push(`${name} still serves port ${port}`);
}
