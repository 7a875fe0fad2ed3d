// Registry logins go in with a spec and never come out again: views blank them, updates that bring none keep the stored one.
import type { ServiceSpec, TaskSpec } from '../../proto/index.ts';

export function withoutLogin(spec: ServiceSpec): ServiceSpec {
  return spec.task === undefined ? spec : { ...spec, task: taskWithoutLogin(spec.task) };
}

export function taskWithoutLogin(task: TaskSpec): TaskSpec {
  if (task.container === undefined || task.container.registryAuth === '') return task;
  return { ...task, container: { ...task.container, registryAuth: '' } };
}

export function withLoginOf(stored: ServiceSpec, spec: ServiceSpec): ServiceSpec {
  const login = stored.task?.container?.registryAuth ?? '';
  if (login === '' || spec.task?.container === undefined || spec.task.container.registryAuth !== '') return spec;
  return { ...spec, task: { ...spec.task, container: { ...spec.task.container, registryAuth: login } } };
}
