// How a plan is shown: for people, as JSON, or through a template.
import { enumName, PlannedAction, type PlannedTask, type ServicePlan } from '../../../proto/index.ts';
import { goTemplate, type Struct, toJson } from '../../format/go-template/index.ts';
import { shareText } from '../../format/canary.ts';
import { renderTable } from '../../format/table.ts';
import { type SpecChange, specChanges } from '../spec/spec-changes.ts';

const INDENT = 4;

/** What `--if-version` takes: that version, and that outcome. */
function versionText({ version, digest }: ServicePlan): string {
  return `${String(version)}-${digest}`;
}

export function changesOf({ before, after }: ServicePlan): readonly SpecChange[] {
  return after === undefined ? [] : specChanges(before, after, before === undefined ? 'create' : 'update');
}

/** Neither the service nor any of its tasks would change. */
export function changesNothing(plan: ServicePlan): boolean {
  return changesOf(plan).length === 0 && plan.tasks.length === 0 && !plan.canaryChanges;
}

/** Throws `invalid_argument` on a wrong template. */
export function planRenderer(format: string | undefined): (plan: ServicePlan) => string {
  if (format === undefined || format === 'table') return forPeople;
  if (format === 'json') return (plan) => `${toJson(structOf(plan), INDENT)}\n`;
  const template = goTemplate(format.replaceAll('\\t', '\t').replaceAll('\\n', '\n'));
  return (plan) => `${template(structOf(plan))}\n`;
}

function forPeople(plan: ServicePlan): string {
  const changes = changesOf(plan);
  const { serviceName, version, before, tasks, moreTasks, unchangedTasks, fits, isCut } = plan;
  const from = before === undefined ? 'a new service' : `version ${String(version)}`;
  if (changesNothing(plan)) return `${serviceName} (${from}): nothing would change\n`;
  const fields = changes.map(({ flag, before: was, after: is }) => [
    '',
    flag,
    before === undefined ? (is ?? '') : `${shown(was)} -> ${shown(is)}`,
  ]);
  const lines = tasks.map((task) => ['', actionName(task), task.name, whereText(task)]);
  return [
    `${serviceName} (${from}):\n`,
    indented(fields),
    ...canaryLines(plan),
    `tasks: ${summary(plan)}\n`,
    indented(lines),
    moreTasks === 0 ? '' : `  and ${String(moreTasks)} more\n`,
    displacedText(plan),
    isCut ? 'the roll-out is too long to be played through; the rest goes on by the same rules\n' : '',
    fits ? '' : 'not every task finds a node: `shoal service explain` says afterwards what would change that\n',
    changes.length === 0 && !plan.canaryChanges ? '' : `apply exactly this with --if-version ${versionText(plan)}\n`,
    unchangedTasks + tasks.length === 0 ? 'no task is wanted\n' : '',
  ].join('');
}

/** Tasks of other services. */
function displacedText({ displaced, moreDisplaced }: ServicePlan): string {
  if (displaced.length === 0) return '';
  const waiting = displaced.filter(({ action }) => action === PlannedAction.PLAN_WAIT).length;
  const stay =
    waiting === 0
      ? ''
      : `, ${waiting === displaced.length ? (waiting === 1 ? 'which finds' : 'which find') : `${String(waiting)} of which find`} no other node`;
  const count = displaced.length + moreDisplaced;
  return [
    `tasks of lower priority that leave to make room: ${String(count)}${stay}\n`,
    indented(displaced.map((task) => ['', actionName(task), task.name, whereText(task)])),
    moreDisplaced === 0 ? '' : `  and ${String(moreDisplaced)} more\n`,
  ].join('');
}

function canaryLines({ canary, canaryChanges }: ServicePlan): readonly string[] {
  if (canary === undefined) return canaryChanges ? ['canary: ends\n'] : [];
  const { permille, tasks } = canary;
  return [`canary: ${shareText(permille)} of new connections to ${String(tasks)} ${tasks === 1 ? 'task' : 'tasks'} of the new version\n`];
}

function indented(rows: readonly (readonly string[])[]): string {
  return rows.length === 0
    ? ''
    : renderTable(rows.map((row) => row.slice(1)))
        .trimEnd()
        .split('\n')
        .map((line) => `  ${line.trimEnd()}\n`)
        .join('');
}

function shown(text: string | undefined): string {
  return text ?? '(none)';
}

function summary({ tasks, unchangedTasks, moreTasks }: ServicePlan): string {
  const counts = new Map<string, number>();
  for (const task of tasks) counts.set(DONE[task.action], (counts.get(DONE[task.action]) ?? 0) + 1);
  const parts = [...counts].map(([what, count]) => `${String(count)} ${what}`);
  return [...parts, ...(moreTasks === 0 ? [] : [`${String(moreTasks)} more`]), `${String(unchangedTasks)} unchanged`].join(', ');
}

const DONE: Readonly<Record<PlannedAction, string>> = {
  [PlannedAction.PLAN_CREATE]: 'created',
  [PlannedAction.PLAN_REPLACE]: 'replaced',
  [PlannedAction.PLAN_MOVE]: 'moved',
  [PlannedAction.PLAN_STOP]: 'stopped',
  [PlannedAction.PLAN_WAIT]: 'waiting for a node',
};

function actionName({ action }: PlannedTask): string {
  return enumName(PlannedAction, action).replace('PLAN_', '').toLowerCase();
}

function whereText({ fromHostname: from, toHostname: to, reason }: PlannedTask): string {
  const way =
    from === '' ? (to === '' ? '' : `on ${to}`) : to === '' ? `on ${from}` : from === to ? `on ${to}, where it is` : `${from} -> ${to}`;
  return [way, reason].filter((part) => part !== '').join(': ');
}

function structOf(plan: ServicePlan): Struct {
  return {
    ID: plan.serviceId || undefined,
    Name: plan.serviceName,
    Version: plan.version,
    IfVersion: versionText(plan),
    Revision: plan.revision,
    Changes: changesOf(plan).map(({ flag, path, before, after }) => ({ Flag: flag, Path: path, Before: before ?? '', After: after ?? '' })),
    Tasks: plan.tasks.map(taskStruct),
    MoreTasks: plan.moreTasks,
    UnchangedTasks: plan.unchangedTasks,
    Displaced: plan.displaced.map(taskStruct),
    MoreDisplaced: plan.moreDisplaced,
    Fits: plan.fits,
    Cut: plan.isCut,
    Canary: plan.canary && { Share: plan.canary.permille / 1000, Tasks: plan.canary.tasks },
    Warnings: plan.warnings,
  };
}

function taskStruct(task: PlannedTask): Struct {
  return {
    Name: task.name,
    Action: actionName(task),
    From: task.fromHostname || undefined,
    FromID: task.fromNodeId || undefined,
    To: task.toHostname || undefined,
    ToID: task.toNodeId || undefined,
    Reason: task.reason || undefined,
  };
}
