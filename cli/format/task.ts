// How `service ps` and `node ps` show a task: newest first within a slot, its history branching off below.
import { enumName, PortMode, TaskState, type TaskView } from '../../proto/index.ts';
import { formatPorts } from './ports.ts';
import { whyNotReady } from './probes.ts';
import type { ResourceFormat } from './resource.ts';
import { ago, capitalized, ellipsis, shortId, withoutDigest } from './text.ts';

const MAX_ERROR_LENGTH = 30;

export const taskFormat: ResourceFormat<TaskView> = {
  headers: {
    ID: 'ID',
    Name: 'NAME',
    Image: 'IMAGE',
    Node: 'NODE',
    DesiredState: 'DESIRED STATE',
    CurrentState: 'CURRENT STATE',
    Error: 'ERROR',
    Ports: 'PORTS',
    Message: 'MESSAGE',
    Readiness: 'READINESS',
  },
  columns: ['ID', 'Name', 'Image', 'Node', 'DesiredState', 'CurrentState', 'Error', 'Ports'],
  id: (task, { truncate }) => (truncate ? shortId(task.id) : task.id),
  fields: (task, { truncate, nowUnixMs }) => {
    const container = task.spec?.container;
    return {
      ID: truncate ? shortId(task.id) : task.id,
      Name: nameOf(task),
      Image: truncate ? withoutDigest(container?.image ?? '') : container?.resolvedImage || (container?.image ?? ''),
      Node: task.nodeHostname || task.nodeId,
      DesiredState: stateName(task.desired),
      CurrentState: currentState(task, nowUnixMs),
      Error: quotedError(task, truncate),
      Ports: formatPorts(task.ports, PortMode.HOST),
      Message: task.message,
      Readiness: readiness(task),
    };
  },
  inTable: (fields, task, previous) =>
    previous !== undefined && nameOf(previous) === nameOf(task) ? { ...fields, Name: ` \\_ ${nameOf(task)}` } : fields,
};

/** What runs on trial beside a slot is told from the slot's own task. */
function nameOf({ name, canary }: TaskView): string {
  return canary ? `${name} (canary)` : name;
}

export function stateName(state: TaskState): string {
  return capitalized(enumName(TaskState, state));
}

/** A task of a node that is down is not known to run: its state then says so. */
function currentState(task: TaskView, nowUnixMs: number): string {
  const since = `${stateName(task.state)} ${ago(task.sinceUnixMs, nowUnixMs).toLowerCase()}`;
  if (task.lost) return `${since} (node down)`;
  return whyNotReady(task) === undefined ? since : `${since} (not ready)`;
}

/** "ready", "not ready: tcp 10.0.0.2:80: connection refused"; empty where it does not run. */
function readiness(task: TaskView): string {
  if (task.state !== TaskState.RUNNING) return '';
  const why = whyNotReady(task);
  return why === undefined ? 'ready' : `not ready: ${why}`;
}

/** For a task that waits, the reason is in its message; one that runs may be kept from its traffic, or have a remark of the manager. */
function quotedError(task: TaskView, truncate: boolean): string {
  const text = task.error || (task.state === TaskState.PENDING ? task.message : (whyNotReady(task) ?? task.remark));
  if (text === '') return '';
  return `"${truncate ? ellipsis(text.replaceAll(/\s+/g, ' '), MAX_ERROR_LENGTH) : text.replaceAll(/\s*\n\s*/g, ' ')}"`;
}

/** By service, slot (node for global), and then the newest first. */
export function sortTasks(tasks: readonly TaskView[]): readonly TaskView[] {
  return [...tasks].sort(
    (a, b) =>
      compareText(a.serviceName, b.serviceName) ||
      a.slot - b.slot ||
      compareText(a.name, b.name) ||
      Number(a.canary) - Number(b.canary) ||
      Number(isFinished(a)) - Number(isFinished(b)) ||
      b.createdUnixMs - a.createdUnixMs ||
      compareText(a.id, b.id),
  );
}

function isFinished(task: TaskView): boolean {
  return task.desired > TaskState.COMPLETE;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
