// Service specs that are valid, with what a test is about changed.
import { ContainerSpec, type PortSpec, PortSpec as Port, ServiceSpec, TaskSpec } from '../../proto/index.ts';

export interface SpecChanges {
  readonly spec?: Partial<ServiceSpec>;
  readonly task?: Partial<TaskSpec>;
  readonly container?: Partial<ContainerSpec>;
}

/** A service "web" with one replica of nginx:1.27. */
export function specOf({ spec, task, container }: SpecChanges = {}): ServiceSpec {
  return ServiceSpec.create({
    name: 'web',
    replicas: 1,
    task: TaskSpec.create({ container: ContainerSpec.create({ image: 'nginx:1.27', ...container }), ...task }),
    ...spec,
  });
}

export function publish(publishedPort: number, targetPort: number, more: Partial<PortSpec> = {}): PortSpec {
  return Port.create({ publishedPort, targetPort, ...more });
}
