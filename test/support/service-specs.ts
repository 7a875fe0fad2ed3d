// Service specs that are valid, with what a test is about changed.
import {
  ContainerSpec,
  HttpRule,
  IngressSettings,
  PortProtocol,
  type PortSpec,
  PortSpec as Port,
  ServiceSpec,
  TaskSpec,
} from '../../proto/index.ts';

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

/** Published as HTTP, with more settings of the mesh where they are given. */
export function httpPort(publishedPort: number, targetPort: number, host = '', path = '/', more: Partial<IngressSettings> = {}): PortSpec {
  const ingress = IngressSettings.create({ ...more, http: HttpRule.create({ host, path }) });
  return Port.create({ publishedPort, targetPort, protocol: PortProtocol.HTTP, ingress });
}

export function publish(publishedPort: number, targetPort: number, more: Partial<PortSpec> = {}): PortSpec {
  return Port.create({ publishedPort, targetPort, ...more });
}
