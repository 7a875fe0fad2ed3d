// How a canary looks from outside. Pure.
import { CanaryView, type Service, type Task } from '../../../proto/index.ts';
import { canaryOf, type Row, specOf, type StateView } from '../../state/index.ts';
import { portsNotReady } from '../task-remark.ts';
import { isRunning, shallRun } from '../task-state.ts';

/** Undefined: none is on. */
export function canaryView(state: StateView, row: Row<Service>): CanaryView | undefined {
  const status = state.get('serviceStatus', row.id)?.value;
  const on = canaryOf(row.value, status);
  if (on === undefined) return undefined;
  const spec = specOf(state, row.id, on.specNumber);
  const tasks = [...state.tasksOfService(row.id)].map(({ value }) => value).filter((task) => task.canary && shallRun(task) && !task.lost);
  const isUp = (task: Task): boolean => {
    const taskStatus = state.get('taskStatus', task.id)?.value;
    return (
      isRunning(state, task) &&
      taskStatus?.readiness?.ready !== false &&
      (spec === undefined || portsNotReady(spec, taskStatus) === undefined)
    );
  };
  const { specNumber, baseSpecNumber, permille, promoteAfterMs, isPaused } = on;
  return CanaryView.create({
    ...{ specNumber, baseSpecNumber, permille, promoteAfterMs },
    tasks: tasks.filter((task) => !task.drain).length,
    up: tasks.filter((task) => !task.drain && isUp(task)).length,
    paused: isPaused ? (status?.update?.message ?? '') : '',
    image: spec?.task?.container?.image ?? '',
  });
}
