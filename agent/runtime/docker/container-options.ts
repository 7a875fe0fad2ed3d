// A task as the engine's create call wants it: a pure mapping of TaskSpec to the body of POST /containers/create (API 1.41).
// What is not given is left out, so that the image's and the engine's own defaults stand.
import { type ContainerSpec, type HealthCheck, type Mount, MountType, type Resources, TaskSpec } from '../../../proto/index.ts';
import { type LeasedPort, type TaskContext } from '../runtime.ts';
import { containerLabels } from './labels.ts';

/** Docker refuses a memory reservation below this. */
const MIN_RESERVATION_BYTES = 6 * 1024 * 1024;
const NANOSECONDS_PER_MS = 1_000_000;

type Fields = Readonly<Record<string, unknown>>;

export interface ContainerOptions extends Fields {
  readonly Image: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly HostConfig: Fields;
}

/**
 * `image` overrides the spec's reference, for an image that is known by another name on this host. `hostAddresses`: where host-mode ports answer,
 * besides the data address; none: on all.
 */
export function containerOptions(task: TaskContext, image?: string, hostAddresses: readonly string[] = []): ContainerOptions {
  const spec = task.assignment.spec ?? TaskSpec.create();
  const container = spec.container;
  return {
    Image: image ?? imageReference(container),
    Labels: containerLabels(task),
    ...(container === undefined ? {} : processFields(container)),
    ...(task.ports.length > 0 ? { ExposedPorts: Object.fromEntries(task.ports.map((port) => [portKey(port), {}])) } : {}),
    HostConfig: {
      RestartPolicy: { Name: 'no' },
      ...(task.ports.length > 0 ? { PortBindings: portBindings(task, hostAddresses) } : {}),
      ...(container === undefined ? {} : hostFields(container)),
      ...resourceFields(spec.limits, spec.reservations),
      ...(spec.logDriver === undefined || spec.logDriver.name === ''
        ? {}
        : { LogConfig: { Type: spec.logDriver.name, Config: spec.logDriver.options } }),
    },
  };
}

/** The reference to run: pinned to its digest where one is known. */
export function imageReference(container: ContainerSpec | undefined): string {
  if (container === undefined) return '';
  return container.resolvedImage === '' ? container.image : container.resolvedImage;
}

function processFields(container: ContainerSpec): Fields {
  return {
    ...list('Entrypoint', container.command),
    ...list('Cmd', container.args),
    ...list('Env', container.env),
    ...text('WorkingDir', container.dir),
    ...text('User', container.user),
    ...text('Hostname', container.hostname),
    ...text('StopSignal', container.stopSignal),
    ...(container.stopGracePeriodMs === undefined ? {} : { StopTimeout: Math.ceil(container.stopGracePeriodMs / 1000) }),
    ...(container.healthCheck === undefined ? {} : { Healthcheck: healthcheck(container.healthCheck) }),
    ...(container.tty ? { Tty: true } : {}),
  };
}

function hostFields(container: ContainerSpec): Fields {
  return {
    ...list('GroupAdd', container.groups),
    ...list('Mounts', container.mounts.map(mount)),
    ...list('ExtraHosts', container.hosts.flatMap(extraHosts)),
    ...list('Dns', container.dns?.nameservers ?? []),
    ...list('DnsSearch', container.dns?.search ?? []),
    ...list('DnsOptions', container.dns?.options ?? []),
    ...list('CapAdd', container.capAdd),
    ...list('CapDrop', container.capDrop),
    ...(container.readOnly ? { ReadonlyRootfs: true } : {}),
    ...(container.init === undefined ? {} : { Init: container.init }),
    ...list(
      'Ulimits',
      container.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    ),
  };
}

function resourceFields(limits: Resources | undefined, reservations: Resources | undefined): Fields {
  const limitBytes = limits?.memoryBytes ?? 0;
  const reservedBytes = reservations?.memoryBytes ?? 0;
  // The engine refuses a reservation above the limit, and then the limit says all there is to say.
  const reserve = reservedBytes >= MIN_RESERVATION_BYTES && (limitBytes === 0 || reservedBytes < limitBytes);
  return {
    ...positive('NanoCpus', limits?.nanoCpus ?? 0),
    ...positive('Memory', limitBytes),
    ...(reserve ? { MemoryReservation: reservedBytes } : {}),
    ...positive('PidsLimit', limits?.pids ?? 0),
  };
}

function portBindings(task: TaskContext, hostAddresses: readonly string[]): Fields {
  const bindings: Record<string, { readonly HostIp: string; readonly HostPort: string }[]> = {};
  const onHost = hostAddresses.length === 0 ? ['0.0.0.0'] : [...new Set([...hostAddresses, task.dataAddress])];
  for (const port of task.ports) {
    const addresses = port.host ? onHost : [task.dataAddress];
    (bindings[portKey(port)] ??= []).push(...addresses.map((HostIp) => ({ HostIp, HostPort: String(port.nodePort) })));
  }
  return bindings;
}

function portKey(port: LeasedPort): string {
  return `${port.targetPort}/${port.protocol}`;
}

/** "IP name [name...]" of /etc/hosts to the engine's "name:IP". */
function extraHosts(line: string): string[] {
  const [address = '', ...names] = line.trim().split(/\s+/);
  return names.map((name) => `${name}:${address}`);
}

function healthcheck(check: HealthCheck): Fields {
  return {
    ...list('Test', check.test),
    ...positive('Interval', check.intervalMs * NANOSECONDS_PER_MS),
    ...positive('Timeout', check.timeoutMs * NANOSECONDS_PER_MS),
    ...positive('Retries', check.retries),
    ...positive('StartPeriod', check.startPeriodMs * NANOSECONDS_PER_MS),
  };
}

function mount(spec: Mount): Fields {
  const common = { Target: spec.target, ...(spec.readOnly ? { ReadOnly: true } : {}) };
  switch (spec.type) {
    case MountType.BIND:
      return {
        Type: 'bind',
        Source: spec.source,
        ...common,
        BindOptions: { Propagation: spec.propagation === '' ? 'rprivate' : spec.propagation },
      };
    case MountType.TMPFS:
      return {
        Type: 'tmpfs',
        ...common,
        TmpfsOptions: { ...positive('SizeBytes', spec.tmpfsSizeBytes), ...positive('Mode', spec.tmpfsMode) },
      };
    case MountType.VOLUME:
      return {
        Type: 'volume',
        ...text('Source', spec.source),
        ...common,
        VolumeOptions: {
          ...(spec.volumeNoCopy ? { NoCopy: true } : {}),
          ...(Object.keys(spec.volumeLabels).length > 0 ? { Labels: spec.volumeLabels } : {}),
          ...(spec.volumeDriver === '' ? {} : { DriverConfig: { Name: spec.volumeDriver, Options: spec.volumeOptions } }),
          ...(spec.volumeDriver === '' && Object.keys(spec.volumeOptions).length > 0
            ? { DriverConfig: { Name: 'local', Options: spec.volumeOptions } }
            : {}),
        },
      };
  }
}

function list(name: string, values: readonly unknown[]): Fields {
  return values.length === 0 ? {} : { [name]: values };
}

function text(name: string, value: string): Fields {
  return value === '' ? {} : { [name]: value };
}

function positive(name: string, value: number): Fields {
  return value > 0 ? { [name]: value } : {};
}
