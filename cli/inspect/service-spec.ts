// A service's spec under Docker's field names, durations in nanoseconds as Docker has them.
import {
  type ContainerSpec,
  DataPath,
  enumName,
  FailureAction,
  type GenericResource,
  type HealthCheck,
  type IngressSettings,
  type Mount,
  MountType,
  type Placement,
  PortMode,
  type PortSpec,
  type Probes,
  ProxyProtocol,
  type Resources,
  RestartCondition,
  type RestartPolicy,
  ServiceMode,
  OnReturn,
  RebalancePolicy,
  type ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
  UpdateOrder,
} from '../../proto/index.ts';
import { mapOf, type Struct, type Value } from '../format/go-template/index.ts';
import { protocolName } from '../format/ports.ts';
import { jobSpecStruct } from './job.ts';
import { probeText } from '../format/probes.ts';

const NANOSECONDS_PER_MS = 1_000_000;

export function serviceSpecStruct(spec: ServiceSpec): Struct {
  return {
    Name: spec.name,
    Labels: mapOf(spec.labels),
    TaskTemplate: spec.task === undefined ? undefined : taskSpecStruct(spec.task),
    Mode: modeStruct(spec),
    Job: spec.job === undefined ? undefined : jobSpecStruct(spec.job),
    UpdateConfig: spec.update === undefined ? undefined : updateConfigStruct(spec.update),
    RollbackConfig: spec.rollback === undefined ? undefined : updateConfigStruct(spec.rollback),
    EndpointSpec: { Ports: spec.ports.map(portStruct) },
    DrainPeriod: nanoseconds(spec.drainPeriodMs),
    SpecHistoryLimit: spec.specHistoryLimit,
    Rebalance: spec.rebalance === RebalancePolicy.REBALANCE_AUTO ? 'auto' : undefined,
    OnReturn: spec.onReturn === OnReturn.KEEP_OLD ? 'keep-old' : undefined,
  };
}

function taskSpecStruct(task: TaskSpec): Struct {
  const { restart, placement, logDriver, limits, reservations } = task;
  return {
    ContainerSpec: task.container === undefined ? undefined : containerStruct(task.container),
    Resources: { Limits: resourcesStruct(limits), Reservations: reservationsStruct(reservations, task.genericReservations) },
    RestartPolicy: restart === undefined ? undefined : restartStruct(restart),
    Placement: {
      Constraints: listOrNothing(placement?.constraints ?? []),
      Preferences: listOrNothing(placement === undefined ? [] : preferenceStructs(placement)),
      Priority: placement?.priority || undefined,
      MaxReplicas: placement?.maxReplicasPerNode || undefined,
      Platforms: listOrNothing((placement?.platforms ?? []).map(({ os, arch }) => ({ Architecture: arch, OS: os }))),
    },
    LogDriver: logDriver === undefined ? undefined : { Name: logDriver.name, Options: mapOf(logDriver.options) },
    ForceUpdate: task.forceUpdate,
    PortCheck: !task.noPortCheck,
    Probes: task.probes === undefined ? undefined : probesStruct(task.probes),
  };
}

/** As on the command line: each can be given to --readiness-probe and its like. */
function probesStruct({ readiness, liveness, startup }: Probes): Struct {
  return {
    Readiness: readiness && probeText(readiness),
    Liveness: liveness && probeText(liveness),
    Startup: startup && probeText(startup),
  };
}

function containerStruct(container: ContainerSpec): Struct {
  const { healthCheck, dns, stopGracePeriodMs } = container;
  return {
    Image: container.resolvedImage || container.image,
    Labels: mapOrNothing(container.labels),
    Command: listOrNothing(container.command),
    Args: listOrNothing(container.args),
    Hostname: container.hostname || undefined,
    Env: listOrNothing(container.env),
    Dir: container.dir || undefined,
    User: container.user || undefined,
    Groups: listOrNothing(container.groups),
    TTY: container.tty || undefined,
    ReadOnly: container.readOnly || undefined,
    Init: container.init,
    Mounts: listOrNothing(container.mounts.map(mountStruct)),
    StopSignal: container.stopSignal || undefined,
    StopGracePeriod: stopGracePeriodMs === undefined ? undefined : nanoseconds(stopGracePeriodMs),
    Healthcheck: healthCheck === undefined ? undefined : healthStruct(healthCheck),
    Hosts: listOrNothing(container.hosts),
    DNSConfig: {
      Nameservers: listOrNothing(dns?.nameservers ?? []),
      Search: listOrNothing(dns?.search ?? []),
      Options: listOrNothing(dns?.options ?? []),
    },
    CapabilityAdd: listOrNothing(container.capAdd),
    CapabilityDrop: listOrNothing(container.capDrop),
    Ulimits: listOrNothing(container.ulimits.map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft }))),
  };
}

function mountStruct(mount: Mount): Struct {
  const hasVolumeOptions = mount.volumeNoCopy || mount.volumeDriver !== '' || Object.keys(mount.volumeLabels).length > 0;
  return {
    Type: enumName(MountType, mount.type).toLowerCase(),
    Source: mount.source || undefined,
    Target: mount.target,
    ReadOnly: mount.readOnly || undefined,
    BindOptions: mount.propagation === '' ? undefined : { Propagation: mount.propagation },
    VolumeOptions:
      mount.type !== MountType.VOLUME || !hasVolumeOptions
        ? undefined
        : {
            NoCopy: mount.volumeNoCopy || undefined,
            Labels: mapOrNothing(mount.volumeLabels),
            DriverConfig: mount.volumeDriver === '' ? undefined : { Name: mount.volumeDriver, Options: mapOrNothing(mount.volumeOptions) },
          },
    TmpfsOptions:
      mount.type !== MountType.TMPFS ? undefined : { SizeBytes: mount.tmpfsSizeBytes || undefined, Mode: mount.tmpfsMode || undefined },
  };
}

function healthStruct(health: HealthCheck): Struct {
  return {
    Test: listOrNothing(health.test),
    Interval: nanoseconds(health.intervalMs) || undefined,
    Timeout: nanoseconds(health.timeoutMs) || undefined,
    Retries: health.retries || undefined,
    StartPeriod: nanoseconds(health.startPeriodMs) || undefined,
  };
}

function resourcesStruct(resources: Resources | undefined): Struct | undefined {
  if (resources === undefined) return undefined;
  return {
    NanoCPUs: resources.nanoCpus || undefined,
    MemoryBytes: resources.memoryBytes || undefined,
    Pids: resources.pids || undefined,
  };
}

function reservationsStruct(resources: Resources | undefined, generic: readonly GenericResource[]): Struct | undefined {
  if (generic.length === 0) return resourcesStruct(resources);
  const GenericResources = generic.map(({ kind, count }) => ({ DiscreteResourceSpec: { Kind: kind, Value: count } }));
  return { ...resourcesStruct(resources), GenericResources };
}

/** Affinities are Shoal's own. */
function preferenceStructs({ spread, affinities }: Placement): readonly Struct[] {
  return [
    ...spread.map((key) => ({ Spread: { SpreadDescriptor: key } })),
    ...affinities.map(({ target, weight }) => ({ Affinity: { Target: target, Weight: weight } })),
  ];
}

function restartStruct(restart: RestartPolicy): Struct {
  return {
    Condition: enumName(RestartCondition, restart.condition).toLowerCase().replace('_', '-'),
    Delay: restart.delayMs === undefined ? undefined : nanoseconds(restart.delayMs),
    MaxAttempts: restart.maxAttempts,
    Window: nanoseconds(restart.windowMs) || undefined,
  };
}

function modeStruct(spec: ServiceSpec): Struct {
  return {
    Replicated: spec.mode === ServiceMode.REPLICATED ? { Replicas: spec.replicas } : undefined,
    Global: spec.mode === ServiceMode.GLOBAL ? {} : undefined,
    ReplicatedJob:
      spec.mode === ServiceMode.REPLICATED_JOB
        ? { MaxConcurrent: spec.job?.maxConcurrent || spec.replicas, TotalCompletions: spec.replicas }
        : undefined,
    GlobalJob: spec.mode === ServiceMode.GLOBAL_JOB ? {} : undefined,
  };
}

function updateConfigStruct(config: UpdateConfig): Struct {
  return {
    Parallelism: config.parallelism,
    Delay: nanoseconds(config.delayMs),
    FailureAction: enumName(FailureAction, config.failureAction).replace('FAILURE_', '').toLowerCase(),
    Monitor: nanoseconds(config.monitorMs),
    MaxFailureRatio: config.maxFailureRatio,
    Order: orderName(config.order),
    ProgressDeadline: config.progressDeadlineMs === undefined ? undefined : nanoseconds(config.progressDeadlineMs),
  };
}

export function orderName(order: UpdateOrder): string {
  return enumName(UpdateOrder, order).toLowerCase().replace('_', '-');
}

export function portStruct(port: PortSpec): Struct {
  return {
    Name: port.name || undefined,
    Protocol: protocolName(port.protocol),
    TargetPort: port.targetPort,
    PublishedPort: port.publishedPort,
    PublishMode: enumName(PortMode, port.mode).toLowerCase(),
    Ingress: port.ingress === undefined ? undefined : ingressStruct(port.ingress),
  };
}

/** What is not given is left out: the mesh decides. */
function ingressStruct(ingress: IngressSettings): Struct {
  const { http, dataPath, proxyProtocol } = ingress;
  return {
    HTTP: http === undefined ? undefined : { Host: http.host || undefined, Path: http.path },
    DataPath: dataPath === DataPath.PATH_AUTO ? undefined : enumName(DataPath, dataPath).replace('PATH_', '').toLowerCase(),
    ProxyProtocol:
      proxyProtocol === ProxyProtocol.PROXY_PROTOCOL_NONE
        ? undefined
        : enumName(ProxyProtocol, proxyProtocol).replace('PROXY_PROTOCOL_', '').toLowerCase(),
    TrustedSources: listOrNothing(ingress.trustedSources),
    MaxConnections: ingress.maxConnections,
    ConnectTimeout: nanosecondsOrNothing(ingress.connectTimeoutMs),
    IdleTimeout: nanosecondsOrNothing(ingress.idleTimeoutMs),
    RequestTimeout: nanosecondsOrNothing(ingress.requestTimeoutMs),
    ResponseTimeout: nanosecondsOrNothing(ingress.responseTimeoutMs),
    StickyCookie: ingress.stickyCookie || undefined,
    TLS: ingress.tls || undefined,
    AccessLogPermille: ingress.accessLogPermille || undefined,
    Hold: nanosecondsOrNothing(ingress.holdMs),
    MaxHeld: ingress.maxHeld,
  };
}

function nanosecondsOrNothing(durationMs: number | undefined): number | undefined {
  return durationMs === undefined ? undefined : nanoseconds(durationMs);
}

function nanoseconds(durationMs: number): number {
  return durationMs * NANOSECONDS_PER_MS;
}

function listOrNothing(list: readonly Value[]): readonly Value[] | undefined {
  return list.length === 0 ? undefined : list;
}

function mapOrNothing(record: Readonly<Record<string, string>>): ReadonlyMap<string, Value> | undefined {
  return Object.keys(record).length === 0 ? undefined : mapOf(record);
}
