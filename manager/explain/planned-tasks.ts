// What a rehearsed change does to the tasks of a service: slot by slot, before against after.
import { PlannedAction, PlannedTask, ServiceMode, type ServiceSpec, TaskState } from '../../proto/index.ts';
import { taskDigest } from '../orchestrator/spec-rules.ts';
import { besideSlotKey, slotsOf } from '../orchestrator/slot.ts';
import type { TaskInfo } from '../orchestrator/task-info.ts';
import type { StateView } from '../state/index.ts';
import { nodeName } from './node-tenants.ts';
import { placeOf } from './service-scene.ts';

export interface TaskOutcome {
  readonly tasks: readonly PlannedTask[];
  readonly unchanged: number;
  /** Every task found a node. */
  readonly fits: boolean;
}

/** `isCut`: the play did not come to its end; what it did not get to is taken to be replaced, somewhere. */
export function plannedTasks(
  was: ReadonlyMap<string, TaskInfo>,
  after: StateView,
  serviceId: string,
  spec: ServiceSpec,
  isCut: boolean,
): TaskOutcome {
  const is = holdersOf(after, serviceId);
  const keys = [...new Set([...was.keys(), ...is.keys()])];
  const isGlobal = spec.mode === ServiceMode.GLOBAL || spec.mode === ServiceMode.GLOBAL_JOB;
  const order = (key: string): string => (isGlobal ? nodeName(after, placeOf(key)) : placeOf(key).padStart(10, '0'));
  keys.sort((one, other) => (order(one) < order(other) ? -1 : 1));
  const tasks: PlannedTask[] = [];
  let unchanged = 0;
  for (const key of keys) {
    const beside = besideSlotKey(key);
    const place = beside === undefined ? placeOf(key) : `${beside} (canary)`;
    const name = `${spec.name}.${isGlobal ? nodeName(after, placeOf(key)) : place}`;
    // Of runs of a job that are over, nothing is left to be planned.
    if (isOver(was.get(key)) && (is.get(key) === undefined || isOver(is.get(key)))) continue;
    const planned = actionOf(was.get(key), is.get(key), spec, isCut);
    if (planned === undefined) unchanged++;
    else tasks.push(PlannedTask.create({ name, ...planned, ...places(after, was.get(key), is.get(key), planned.action) }));
  }
  return { tasks, unchanged, fits: tasks.every(({ action }) => action !== PlannedAction.PLAN_WAIT) };
}

function isOver(info: TaskInfo | undefined): boolean {
  return info?.task.jobIteration !== undefined && info.isFinished;
}

/** Who fills which slot. */
export function holdersOf(view: StateView, serviceId: string): ReadonlyMap<string, TaskInfo> {
  const found = new Map<string, TaskInfo>();
  for (const { key, holder } of slotsOf(view, serviceId).values()) {
    if (holder !== undefined && holder.task.desired < TaskState.REMOVE) found.set(key, holder);
  }
  return found;
}

/** Undefined: nothing happens to the slot. */
function actionOf(
  was: TaskInfo | undefined,
  is: TaskInfo | undefined,
  spec: ServiceSpec,
  isCut: boolean,
): Pick<PlannedTask, 'action' | 'reason'> | undefined {
  if (is === undefined) return was === undefined ? undefined : { action: PlannedAction.PLAN_STOP, reason: '' };
  if (is.isWaiting) return { action: PlannedAction.PLAN_WAIT, reason: is.task.verdict?.message ?? '' };
  if (was === undefined || was.isWaiting) {
    return { action: PlannedAction.PLAN_CREATE, reason: was === undefined ? '' : 'it waits for a node at present' };
  }
  const isClean = was.spec !== undefined && taskDigest(was.spec) === taskDigest(spec);
  if (is.row.id === was.row.id) return isCut && !isClean ? { action: PlannedAction.PLAN_REPLACE, reason: 'in its turn' } : undefined;
  if (!isClean) return { action: PlannedAction.PLAN_REPLACE, reason: '' };
  return { action: PlannedAction.PLAN_MOVE, reason: was.isFinished ? 'it has ended' : 'its node does not keep it' };
}

function places(
  view: StateView,
  was: TaskInfo | undefined,
  is: TaskInfo | undefined,
  action: PlannedAction,
): Pick<PlannedTask, 'fromNodeId' | 'fromHostname' | 'toNodeId' | 'toHostname'> {
  const from = was === undefined || was.isWaiting ? '' : was.task.nodeId;
  const isThere = is !== undefined && !is.isWaiting && !(action === PlannedAction.PLAN_REPLACE && is.row.id === was?.row.id);
  const to = isThere ? is.task.nodeId : '';
  const hostname = (nodeId: string): string => (nodeId === '' ? '' : nodeName(view, nodeId));
  return { fromNodeId: from, fromHostname: hostname(from), toNodeId: to, toHostname: hostname(to) };
}
