// The verbs of transcripts over the model cluster: services, nodes, crashes and time, and what is seen of them.
import assert from 'node:assert/strict';
import type { FieldProblem } from '../../../lib/errors.ts';
import { formatDurationMs } from '../../../lib/units.ts';
import { changeProblems, serviceSpecProblems } from '../../../manager/api/validate/service-spec.ts';
import { enumName, RebalanceState, type Task, TaskState, UpdateState } from '../../../proto/index.ts';
import { modelLeader } from '../model-leader.ts';
import { ReconcileModel } from '../reconcile-model.ts';
import { canaryVerbs } from './canary-verbs.ts';
import { jobVerbs } from './job-verbs.ts';
import { nodeVerbs } from './node-verbs.ts';
import { outlookVerbs } from './outlook-verbs.ts';
import { changedBy, durationOf, emptySpec } from './spec-words.ts';
import type { Verbs } from './transcript.ts';

/** How many tasks of a service served, and ran, since that was last asked for. */
interface Bounds {
  fewestServing: number;
  mostRunning: number;
}

export function modelVerbs(): Verbs {
  const model = new ReconcileModel({ leader: modelLeader });
  const bounds = new Map<string, Bounds>();
  let toldEvents = 0;

  const look = (): void => {
    for (const [serviceId, seen] of bounds) {
      seen.fewestServing = Math.min(seen.fewestServing, serving(model, serviceId));
      seen.mostRunning = Math.max(seen.mostRunning, running(model, serviceId));
    }
  };
  const settle = (): void => {
    model.settle(look);
  };

  const ofJobs = jobVerbs(model, settle);
  const ofNodes = nodeVerbs(model, settle);
  const ofCanaries = canaryVerbs(model, settle);
  const seen = outlookVerbs(model);
  const refused: string[] = [];

  return {
    acts: {
      ...ofNodes,
      /** service NAME KEY=VALUE...: made unless it is refused, and settled until its tasks are up */
      service: ([name = '', ...words]) => {
        const spec = changedBy(emptySpec(name), words);
        if (noteRefusal(refused, serviceSpecProblems(spec))) return;
        model.create(name, spec);
        settle();
        bounds.set(name, { fewestServing: serving(model, name), mostRunning: running(model, name) });
      },
      update: ([name = '', ...words]) => {
        const before = model.specOf(name);
        const after = changedBy(before, words);
        if (noteRefusal(refused, [...serviceSpecProblems(after), ...changeProblems(before, after)])) return;
        model.update(name, () => after);
        settle();
      },
      /** rollback NAME SPEC-NUMBER */
      rollback: ([name = '', number]) => {
        model.rollback(name, Number(number));
        settle();
      },
      /** remove SERVICE */
      remove: ([name = '']) => {
        model.remove(name);
        settle();
      },
      /** rebalance NAME: as a user asks for it */
      rebalance: ([name = '']) => {
        model.rebalance(name);
        settle();
      },
      /** crash TASK... of those that run */
      crash: (names) => {
        for (const name of names) model.hosts.crash(taskNamed(model, name).id);
        settle();
      },
      /** busy TASK...: connections stay open to it */
      busy: (names) => {
        for (const name of names) model.hosts.busy.add(taskNamed(model, name).id);
      },
      idle: () => {
        model.hosts.busy.clear();
        settle();
      },
      /** another leader takes over */
      leader: () => {
        model.changeLeader();
        settle();
      },
      time: ([duration = '']) => {
        model.run(durationOf(duration), look);
      },
      ...ofJobs.acts,
      ...ofCanaries.acts,
    },
    views: {
      ...ofJobs.views,
      ...ofCanaries.views,
      ...seen,
      /** What was refused since that was last asked for, field by field. */
      refused: () => refused.splice(0),
      /** Those that shall run. */
      tasks: ([name = '']) => shownTasks(model, name, ({ desired }) => desired <= TaskState.RUNNING),
      /** history TASK: all that its slot has had, oldest first */
      history: ([name = '']) => {
        const [service = '', slot] = name.split('.');
        return shownTasks(model, service, (task) => String(task.slot) === slot);
      },
      update: ([name = '']) => [updateLine(model, name)],
      /** How many serve on each node, then how the last rebalancing went. */
      balance: ([name = '']) => [spreadLine(model, name), rebalanceLine(model, name)],
      events: () => {
        const fresh = model.events.slice(toldEvents);
        toldEvents = model.events.length;
        return fresh.map(({ type, action, objectName, message }) => `${type} ${objectName} ${action}: ${message}`);
      },
      bounds: ([name = '']) => {
        const { fewestServing, mostRunning } = bounds.get(name) ?? assert.fail(`no service ${name}`);
        bounds.set(name, { fewestServing: serving(model, name), mostRunning: running(model, name) });
        return [`at least ${fewestServing} served, at most ${mostRunning} ran`];
      },
      specs: ([name = '']) => {
        const numbers = [...model.state.specsOfService(name)].map(({ value }) => value.number).sort((one, other) => one - other);
        return [numbers.join(' ')];
      },
    },
  };
}

function shownTasks(model: ReconcileModel, serviceId: string, isShown: (task: Task) => boolean): readonly string[] {
  const rows = [...model.state.tasksOfService(serviceId)].filter(({ value }) => isShown(value));
  rows.sort((one, other) => one.value.slot - other.value.slot || one.createRevision - other.createRevision);
  return rows.map(({ value }) => taskLine(model, value));
}

/** "web.1 v2 running on a, restart 2 after 10s" */
function taskLine(model: ReconcileModel, task: Task): string {
  const spec = model.state.get('specs', `${task.serviceId}/${task.specNumber}`)?.value.spec;
  const image = spec?.task?.container?.image ?? '?';
  const isPlaced = task.nodeId !== '' && task.verdict?.state !== TaskState.PENDING;
  const verdict = task.verdict?.state === TaskState.ASSIGNED ? undefined : task.verdict;
  const state = verdict?.state ?? model.statusOf(task.id);
  const where = isPlaced ? ` on ${task.nodeId}` : '';
  const marks = [
    ...(verdict?.message ? [verdict.message] : []),
    ...(task.drain && task.desired <= TaskState.RUNNING ? ['draining'] : []),
    ...(task.lost ? ['lost'] : []),
    ...(task.canary ? ['canary'] : []),
    ...(task.desired === TaskState.READY ? ['held back'] : []),
    ...(task.restart === undefined ? [] : [`restart ${task.restart.attempt} after ${formatDurationMs(task.restart.delayMs)}`]),
  ];
  const slot = task.slot > 0 ? String(task.slot) : task.nodeId;
  return [`${task.serviceId}.${slot} ${image} ${enumName(TaskState, state).toLowerCase()}${where}`, ...marks].join(', ');
}

function updateLine(model: ReconcileModel, serviceId: string): string {
  const status = model.state.get('serviceStatus', serviceId)?.value;
  const newest = model.state.get('services', serviceId)?.value.specNumber ?? 0;
  const specs = `spec ${status?.activeSpecNumber ?? 0} of ${newest}`;
  const update = status?.update;
  if (update === undefined) return `${specs}, no update`;
  const state = enumName(UpdateState, update.state).replace('UPDATE_', '').toLowerCase();
  return `${specs}, ${state}: ${update.message}`;
}

/** "a 2, b 1" */
function spreadLine(model: ReconcileModel, serviceId: string): string {
  const counts = [...model.hosts.nodes.keys()].map((id) => {
    const tasks = model.tasks(serviceId).filter((task) => task.nodeId === id && !task.drain && model.isServing(task));
    return `${id} ${tasks.length}`;
  });
  return counts.join(', ');
}

function rebalanceLine(model: ReconcileModel, serviceId: string): string {
  const status = model.state.get('serviceStatus', serviceId)?.value.rebalance;
  if (status === undefined) return 'never rebalanced';
  const state = enumName(RebalanceState, status.state).replace('REBALANCE_', '').toLowerCase();
  return `${state}${status.automatic ? ' by itself' : ''}, ${status.moved} moved: ${status.message}`;
}

/** "web.1"; "web.1~" is the canary's beside it. */
function taskNamed(model: ReconcileModel, name: string): Task {
  const [service = '', place = ''] = name.split('.');
  const [slot, beside] = place.split('~');
  const task = model
    .tasks(service)
    .find(
      (other) =>
        (other.slot > 0 ? String(other.slot) : other.nodeId) === slot && other.canary === (beside !== undefined) && model.isServing(other),
    );
  return task ?? assert.fail(`no task runs as ${name}`);
}

function serving(model: ReconcileModel, serviceId: string): number {
  return model.tasks(serviceId).filter((task) => !task.drain && model.isServing(task)).length;
}

function running(model: ReconcileModel, serviceId: string): number {
  const isRunning = (task: Task): boolean => model.hosts.nodes.get(task.nodeId)?.tasks.get(task.id)?.state === TaskState.RUNNING;
  return model.tasks(serviceId).filter(isRunning).length;
}

/** As the API does: what is refused changes nothing. */
function noteRefusal(refused: string[], problems: readonly FieldProblem[]): boolean {
  refused.push(...problems.map(({ path, message }) => `${path}: ${message}`));
  return problems.length > 0;
}
