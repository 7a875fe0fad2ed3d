// How a task learns which of its node's generic resources it has: in its environment, as Docker Swarm does it.
import type { GenericResource, TaskSpec } from '../../proto/index.ts';

/** DOCKER_RESOURCE_GPU=UUID1,UUID2, or the number where they have no names. */
export function withGenericEnv(spec: TaskSpec, resources: readonly GenericResource[]): TaskSpec {
  if (resources.length === 0 || spec.container === undefined) return spec;
  const env = resources.map(
    ({ kind, count, names }) => `DOCKER_RESOURCE_${kind.toUpperCase()}=${names.length === 0 ? count : names.join(',')}`,
  );
  return { ...spec, container: { ...spec.container, env: [...spec.container.env, ...env] } };
}
