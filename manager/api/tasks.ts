// ListTasks.
import { ShoalError } from '../../lib/errors.ts';
import { enumName, type ListTasksRequest, type Task, TaskList, TaskState, type TaskView } from '../../proto/index.ts';
import { type Row, specOf, type StateView } from '../state/index.ts';
import { checkAnswerSize } from './answer-size.ts';
import { compileFilters, type FilterKeys, matchesLabel } from './filters.ts';
import { nodesByRefs, servicesByRefs, tasksByRefs } from './refs.ts';
import { taskView } from './task-view.ts';

/** What Docker calls the states that a task is brought to; "accepted" is held back for its restart delay. */
const DESIRED: Readonly<Record<string, readonly TaskState[]>> = {
  running: [TaskState.RUNNING, TaskState.COMPLETE],
  accepted: [TaskState.READY],
  ready: [TaskState.READY],
  shutdown: [TaskState.SHUTDOWN, TaskState.REMOVE],
};

const STATES = Object.keys(TaskState).map((name) => name.toLowerCase());

function filterKeys(state: StateView): FilterKeys<TaskView> {
  return {
    id: { matches: (task, value) => task.id.startsWith(value) },
    name: { matches: (task, value) => task.name.includes(value) },
    label: { matches: (task, value) => matchesLabel(specOf(state, task.serviceId, task.specNumber)?.labels ?? {}, value) },
    service: { matches: (task, value) => task.serviceId.startsWith(value) || task.serviceName === value },
    node: { matches: (task, value) => task.nodeId !== '' && (task.nodeId.startsWith(value) || task.nodeHostname === value) },
    'desired-state': { matches: (task, value) => DESIRED[value]?.includes(task.desired) ?? false, values: Object.keys(DESIRED) },
    state: { matches: (task, value) => enumName(TaskState, task.state).toLowerCase() === value, values: STATES },
  };
}

/** Sorted by service, slot (a global service's by node), then newest first. */
export function listTasks(state: StateView, request: ListTasksRequest, nowUnixMs: number): TaskList {
  const matches = compileFilters(request.filters, filterKeys(state));
  const tasks: TaskView[] = [];
  for (const row of candidates(state, request)) {
    const view = taskView(state, row, nowUnixMs);
    if (matches(view)) tasks.push(view);
  }
  tasks.sort(inOrder);
  return checkAnswerSize(TaskList, { tasks, revision: state.revision }, tasks.length, 'tasks');
}

/** The tasks that all kinds of refs given allow; by index where a service or node is named. */
function candidates(state: StateView, { serviceRefs, nodeRefs, taskRefs }: ListTasksRequest): Iterable<Row<Task>> {
  const named = resolveEach(state, serviceRefs, nodeRefs, taskRefs);
  const services = new Set(named.services);
  const nodes = new Set(named.nodes);
  const allows = ({ value }: Row<Task>): boolean =>
    (services.size === 0 || services.has(value.serviceId)) && (nodes.size === 0 || nodes.has(value.nodeId));
  if (named.tasks.length > 0) return named.tasks.filter(allows);
  if (services.size > 0) return named.services.flatMap((id) => [...state.tasksOfService(id)]).filter(allows);
  if (nodes.size > 0) return named.nodes.flatMap((id) => [...state.tasksOfNode(id)]);
  return state.all('tasks');
}

interface Named {
  readonly services: readonly string[];
  readonly nodes: readonly string[];
  readonly tasks: readonly Row<Task>[];
}

/** One not_found for unknown refs of all kinds together. */
function resolveEach(state: StateView, serviceRefs: readonly string[], nodeRefs: readonly string[], taskRefs: readonly string[]): Named {
  const unknown: string[] = [];
  const attempt = <T>(resolve: () => T, none: T): T => {
    try {
      return resolve();
    } catch (error) {
      const known = ShoalError.from(error);
      if (known.code !== 'not_found') throw known;
      unknown.push(known.message);
      return none;
    }
  };
  const named: Named = {
    services: attempt(() => servicesByRefs(state, serviceRefs).map((row) => row.id), []),
    nodes: attempt(() => nodesByRefs(state, nodeRefs).map((row) => row.id), []),
    tasks: attempt(() => tasksByRefs(state, taskRefs), []),
  };
  if (unknown.length > 0) throw new ShoalError('not_found', unknown.join('; '));
  return named;
}

function inOrder(one: TaskView, other: TaskView): number {
  return (
    compareText(one.serviceName, other.serviceName) ||
    one.slot - other.slot ||
    compareText(one.nodeHostname, other.nodeHostname) ||
    other.createdUnixMs - one.createdUnixMs ||
    compareText(one.id, other.id)
  );
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
