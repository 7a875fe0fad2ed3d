// Placement: no node is given more than it has, or what its constraints keep from it; and only who is of lower priority makes room. Judged by the rows at the moment
// at which the leader writes them: it alone writes tasks, so of these it knows all.
import { placementProblem } from '../../../manager/constraint/index.ts';
import { Availability, type GenericResource, PortMode, type ServiceSpec, type Task, TaskState } from '../../../proto/index.ts';
import type { Container } from '../parts/engine.ts';
import { short } from '../core/trace.ts';
import { DECIDE_MS, isExcused } from '../truth/excuse.ts';
import type { Truth } from '../truth/truth.ts';

export function nodesAreNotOverfilled(truth: Truth): void {
  const { mirror } = truth;
  /** When a user, or the node itself, last changed what it is: a leader may decide by what it was just before. */
  const changedMs = new Map<string, number>();
  mirror.onChange((change) => {
    if (change.table === 'nodes' || (change.table === 'nodeStatus' && change.before?.value.state !== change.after?.value.state))
      changedMs.set(change.id, truth.nowMs);
    if (change.table !== 'tasks') return;
    const task = change.after?.value;
    const isPlaced = task?.verdict?.state === TaskState.ASSIGNED && change.before?.value.verdict?.state !== TaskState.ASSIGNED;
    if (task === undefined || !isPlaced || task.nodeId === '') return;
    const text = `task ${short(task.id)} of service ${short(task.serviceId)} is placed on node ${short(task.nodeId)}`;
    for (const problem of [...roomProblems(truth, task), ...kindProblems(truth, task, changedMs.get(task.nodeId) ?? 0)])
      truth.fail('placement', `${text}: ${problem}`);
  });
  truth.listen({
    started(container) {
      const problem = sharingProblem(truth, container) ?? crowdProblem(truth, container);
      if (problem !== undefined) truth.fail('placement', `${truth.describe(container)} was started: ${problem}`);
    },
  });
}

/** What has a name is had by one at a time. */
function sharingProblem(truth: Truth, container: Container): string | undefined {
  const mine = namesOf(truth.mirror.get('tasks', container.taskId)?.value);
  for (const other of runningBeside(truth, container)) {
    const shared = [...namesOf(truth.mirror.get('tasks', other.taskId)?.value)].find((name) => mine.has(name));
    if (shared !== undefined) return `${truth.describe(other)} has its ${shared}`;
  }
  return undefined;
}

/**
 * Whoever is about to leave, or was taken for lost, is not counted; whoever is being replaced (an update that starts first) is, until it leaves. Of several specs
 * the most generous goes: a task that was placed by a strict one does not leave because others came by a later one.
 */
function crowdProblem(truth: Truth, container: Container): string | undefined {
  const limitOf = (one: Container): number => truth.specOf(one)?.task?.placement?.maxReplicasPerNode || Number.POSITIVE_INFINITY;
  if (limitOf(container) === Number.POSITIVE_INFINITY) return undefined;
  const copies = runningBeside(truth, container).filter((other) => {
    const task = truth.mirror.get('tasks', other.taskId)?.value;
    const stays = task !== undefined && !task.drain && !task.lost && task.desired <= TaskState.COMPLETE && task.preempted === '';
    return other.serviceId === container.serviceId && stays && !isExcused(truth, other);
  });
  const most = Math.max(limitOf(container), ...copies.map(limitOf));
  return copies.length + 1 > most ? `${copies.length + 1} replicas run there, at most ${most}` : undefined;
}

function runningBeside(truth: Truth, container: Container): readonly Container[] {
  const { engine } = truth.nodeOf(container.host).node;
  return [...engine.containers.values()].filter((other) => other !== container && other.state === 'running');
}

/** Whoever has been there stays counted until its end is told. */
function roomProblems(truth: Truth, task: Task): string[] {
  const { mirror } = truth;
  const spec = truth.specOf(task);
  const description = mirror.get('nodeStatus', task.nodeId)?.value.description;
  if (spec === undefined || description === undefined) return [];
  const there = [...mirror.all('tasks')].map(({ value }) => value).filter((other) => other.nodeId === task.nodeId && isThere(truth, other));
  const problems: string[] = [];
  const sum = (of: (spec: ServiceSpec | undefined) => number): number => there.reduce((total, other) => total + of(truth.specOf(other)), 0);
  const cpus = sum((other) => other?.task?.reservations?.nanoCpus ?? 0);
  if ((spec.task?.reservations?.nanoCpus ?? 0) > 0 && cpus > (description.resources?.nanoCpus ?? 0))
    problems.push(`${cpus / 1e9} CPUs are reserved there`);
  for (const { kind } of spec.task?.genericReservations ?? []) {
    const has = description.genericResources.find((one) => one.kind === kind)?.count ?? 0;
    const given = sum((other) => other?.task?.genericReservations.find((one) => one.kind === kind)?.count ?? 0);
    if (given > has) problems.push(`${given} of ${has} ${kind} are reserved there`);
  }
  for (const port of hostPortsOf(spec)) {
    const holders = there.filter((other) => hostPortsOf(truth.specOf(other)).includes(port));
    if (holders.length > 1) problems.push(`${holders.length} tasks publish host port ${port} there`);
  }
  return problems;
}

function kindProblems(truth: Truth, task: Task, changedMs: number): string[] {
  const { mirror, nowMs } = truth;
  // Whoever changes a node does not wait for the leader, and its decisions do not wait for them: it puts right what comes of that.
  if (nowMs - Math.max(changedMs, truth.undecidedMs) <= DECIDE_MS) return [];
  const node = mirror.get('nodes', task.nodeId)?.value;
  if (node === undefined) return ['there is no such node'];
  const availability = node.spec?.availability ?? Availability.ACTIVE;
  const problem = placementProblem(truth.specOf(task)?.task?.placement, node, mirror.get('nodeStatus', node.id)?.value);
  return [...(availability === Availability.ACTIVE ? [] : ['it takes nothing new']), ...(problem === undefined ? [] : [problem])];
}

export function onlyLowerPrioritiesMakeRoom(truth: Truth): void {
  const { mirror } = truth;
  /** Gaps that the cluster was set to, with the time until which they were; the leader may decide by what was until just now. */
  let earlier: readonly { readonly gap: number; readonly untilMs: number }[] = [];
  const gapOf = (): number => mirror.get('cluster', '')?.value.settings?.preemptionGap ?? 0;
  const allowed = (): readonly number[] => [
    gapOf(),
    ...earlier.filter(({ untilMs }) => truth.nowMs - Math.max(untilMs, truth.undecidedMs) <= DECIDE_MS).map(({ gap }) => gap),
  ];
  mirror.onChange((change) => {
    if (change.table === 'cluster')
      earlier = [...earlier, { gap: change.before?.value.settings?.preemptionGap ?? 0, untilMs: truth.nowMs }];
    if (change.table !== 'tasks' || change.after === undefined) return;
    const { preempted, slot, id } = change.after.value;
    if (preempted === '' || preempted === change.before?.value.preempted) return;
    const claimed = Number(/of priority (-?\d+)$/.exec(preempted)?.[1]);
    const own = truth.specOf(change.after.value)?.task?.placement?.priority ?? 0;
    const gaps = allowed().filter((gap) => gap > 0);
    if (gaps.length === 0) truth.fail('preemption', `task ${short(id)} has to make room, and the cluster does not allow that`);
    else if (!(claimed - own >= Math.min(...gaps)))
      truth.fail('preemption', `task ${short(id)} of priority ${own} has to make room for one of priority ${claimed}`);
    else if (slot === 0) truth.fail('preemption', `task ${short(id)} is global, and has to make room`);
  });
}

/** It takes room on its node: placed, and not known to have ended. */
function isThere({ mirror }: Truth, { id, verdict }: Task): boolean {
  return verdict?.state !== TaskState.PENDING && (mirror.get('taskStatus', id)?.value.state ?? TaskState.NEW) < TaskState.COMPLETE;
}

function hostPortsOf(spec: ServiceSpec | undefined): readonly number[] {
  return spec?.ports.filter(({ mode }) => mode === PortMode.HOST).map(({ publishedPort }) => publishedPort) ?? [];
}

function namesOf(task: Task | undefined): ReadonlySet<string> {
  return new Set(task?.genericResources.flatMap(({ kind, names }: GenericResource) => names.map((name) => `${kind} ${name}`)));
}
