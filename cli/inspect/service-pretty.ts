// `service inspect --pretty`.
import { canaryText, canaryWays, pauseText } from '../format/canary.ts';
import { formatDurationMs, formatSizeBytes } from '../../lib/units.ts';
import {
  enumName,
  FailureAction,
  type LogDriver,
  type Placement,
  OnReturn,
  RebalancePolicy,
  RebalanceState,
  PortMode,
  type PortSpec,
  type Probes,
  type Resources,
  RestartCondition,
  ServiceMode,
  type ServiceView,
  type UpdateConfig,
  UpdateState,
} from '../../proto/index.ts';
import { protocolName } from '../format/ports.ts';
import { probeText } from '../format/probes.ts';
import { ingressWords } from '../format/publish.ts';
import { isJobMode, modeName } from '../format/service.ts';
import { ago } from '../format/text.ts';
import { containerLines } from './container-pretty.ts';
import { preferenceText } from '../service/spec/preferences.ts';
import { type PrettyItem, prettyMap, renderPretty } from './pretty.ts';
import { jobLines } from './job.ts';
import { rebalanceStateName, updateStateName } from './service.ts';
import { orderName } from './service-spec.ts';

export function renderServicePretty(service: ServiceView, nowUnixMs: number): string {
  const { spec } = service;
  const container = spec?.task?.container;
  return renderPretty([
    { name: 'ID', value: service.id },
    { name: 'Name', value: spec?.name },
    ...prettyMap('Labels', spec?.labels ?? {}),
    { name: 'Service Mode', value: capitalize(modeName(spec?.mode ?? ServiceMode.REPLICATED)) },
    { indent: 1, name: 'Replicas', value: `${String(service.runningTasks)}/${String(service.desiredTasks)} running` },
    ...(isJobMode(spec?.mode) ? jobLines(service, nowUnixMs) : []),
    ...updateStatusLines(service, nowUnixMs),
    ...canaryLines(service),
    ...rebalanceStatusLines(service, nowUnixMs),
    ...placementLines(spec?.task?.placement),
    ...updateConfigLines('UpdateConfig', spec?.update),
    ...updateConfigLines('RollbackConfig', spec?.rollback),
    ...(container === undefined ? [] : containerLines(container)),
    ...resourceLines('Reservations', spec?.task?.reservations),
    { heading: 'Generic Reservations' },
    ...(spec?.task?.genericReservations ?? []).map(({ kind, count }): PrettyItem => ({ indent: 1, name: kind, value: count })),
    ...resourceLines('Limits', spec?.task?.limits),
    ...restartLines(service),
    ...logDriverLines(spec?.task?.logDriver),
    { name: 'Drain Period', value: spec === undefined || spec.drainPeriodMs === 0 ? undefined : formatDurationMs(spec.drainPeriodMs) },
    { name: 'Rebalance', value: spec?.rebalance === RebalancePolicy.REBALANCE_AUTO ? 'auto' : undefined },
    { name: 'On Return', value: spec?.onReturn === OnReturn.KEEP_OLD ? 'keep-old' : undefined },
    { name: 'Port Check', value: spec?.task?.noPortCheck === true ? 'no' : undefined },
    { name: 'Forced Updates', value: spec?.task?.forceUpdate || undefined },
    ...probeLines(spec?.task?.probes),
    { heading: 'Ports' },
    ...(spec?.ports ?? []).map((port): PrettyItem => ({
      indent: 1,
      name: String(port.publishedPort),
      value: portText(port),
    })),
    { heading: 'Ports that could not be opened' },
    ...service.portProblems.map(({ hostname, problem }): PrettyItem => ({
      indent: 1,
      name: `${hostname}:${String(problem?.publishedPort ?? 0)}`,
      value: problem?.message,
    })),
    { heading: 'Running tasks that are not ready' },
    ...service.notReady.map(({ taskName, nodeHostname, readiness }): PrettyItem => ({
      indent: 1,
      name: `${taskName} on ${nodeHostname}`,
      value: readiness?.reason,
    })),
  ]);
}

/** "-> 3000/http, ingress (api), host=app.example.com, path=/api" */
function portText(port: PortSpec): string {
  const what = `-> ${String(port.targetPort)}/${protocolName(port.protocol)}, ${enumName(PortMode, port.mode).toLowerCase()}`;
  const settings = ingressWords(port.ingress).map(([key, value]) => `${key}=${value}`);
  return [`${what}${port.name === '' ? '' : ` (${port.name})`}`, ...settings].join(', ');
}

function updateStatusLines(service: ServiceView, nowUnixMs: number): readonly PrettyItem[] {
  const update = service.status?.update;
  if (update === undefined || update.state === UpdateState.UPDATE_NONE) return [];
  return [
    { heading: 'UpdateStatus' },
    { indent: 1, name: 'State', value: updateStateName(update.state) },
    { indent: 1, name: 'Started', value: ago(update.startedUnixMs, nowUnixMs) },
    { indent: 1, name: 'Completed', value: update.completedUnixMs === 0 ? undefined : ago(update.completedUnixMs, nowUnixMs) },
    { indent: 1, name: 'Message', value: update.message },
  ];
}

function canaryLines({ canary, pause, spec }: ServiceView): readonly PrettyItem[] {
  return [
    ...(pause === undefined ? [] : [{ name: 'Paused', value: pauseText(pause) }]),
    ...(canary === undefined
      ? []
      : [
          { heading: 'Canary' },
          { indent: 1, name: 'State', value: canaryText(canary) },
          { indent: 1, name: 'Next', value: canaryWays(canary, spec?.name ?? '') },
        ]),
  ];
}

function rebalanceStatusLines({ status }: ServiceView, nowUnixMs: number): readonly PrettyItem[] {
  const rebalance = status?.rebalance;
  if (rebalance === undefined || rebalance.state === RebalanceState.REBALANCE_NONE) return [];
  const { automatic, moved, startedUnixMs, completedUnixMs, message } = rebalance;
  return [
    { heading: 'Rebalancing' },
    { indent: 1, name: 'State', value: `${rebalanceStateName(rebalance.state)}${automatic ? ', by itself' : ''}` },
    { indent: 1, name: 'Moved', value: moved },
    { indent: 1, name: 'Started', value: ago(startedUnixMs, nowUnixMs) },
    { indent: 1, name: 'Ended', value: completedUnixMs === 0 ? undefined : ago(completedUnixMs, nowUnixMs) },
    { indent: 1, name: 'Message', value: message },
  ];
}

function placementLines(placement: Placement | undefined): readonly PrettyItem[] {
  return [
    { heading: 'Placement' },
    { indent: 1, name: 'Constraints', value: placement?.constraints.join(', ') },
    { indent: 1, name: 'Preferences', value: preferenceTexts(placement).join(', ') },
    { indent: 1, name: 'Priority', value: placement?.priority || undefined },
    { indent: 1, name: 'Max Per Node', value: placement?.maxReplicasPerNode || undefined },
    { indent: 1, name: 'Platforms', value: placement?.platforms.map(({ os, arch }) => `${os || '*'}/${arch || '*'}`).join(', ') },
  ];
}

function preferenceTexts(placement: Placement | undefined): readonly string[] {
  return [...(placement?.spread ?? []).map((key) => `spread=${key}`), ...(placement?.affinities ?? []).map(preferenceText)];
}

function logDriverLines(logDriver: LogDriver | undefined): readonly PrettyItem[] {
  if (logDriver === undefined) return [];
  return [
    { heading: 'LogDriver' },
    { indent: 1, name: 'Name', value: logDriver.name },
    ...Object.entries(logDriver.options)
      .sort()
      .map(([name, value]): PrettyItem => ({ indent: 1, name, value })),
  ];
}

function updateConfigLines(heading: string, config: UpdateConfig | undefined): readonly PrettyItem[] {
  if (config === undefined) return [];
  return [
    { heading },
    { indent: 1, name: 'Parallelism', value: config.parallelism },
    { indent: 1, name: 'Delay', value: formatDurationMs(config.delayMs) },
    { indent: 1, name: 'On failure', value: enumName(FailureAction, config.failureAction).replace('FAILURE_', '').toLowerCase() },
    { indent: 1, name: 'Monitor', value: formatDurationMs(config.monitorMs) },
    { indent: 1, name: 'Max failures', value: config.maxFailureRatio },
    { indent: 1, name: 'Order', value: orderName(config.order) },
    {
      indent: 1,
      name: 'Deadline',
      value: config.progressDeadlineMs === undefined ? undefined : formatDurationMs(config.progressDeadlineMs),
    },
  ];
}

function resourceLines(heading: string, resources: Resources | undefined): readonly PrettyItem[] {
  if (resources === undefined) return [];
  return [
    { heading },
    { indent: 1, name: 'CPU', value: resources.nanoCpus === 0 ? undefined : resources.nanoCpus / 1e9 },
    { indent: 1, name: 'Memory', value: resources.memoryBytes === 0 ? undefined : formatSizeBytes(resources.memoryBytes) },
    { indent: 1, name: 'Pids', value: resources.pids || undefined },
  ];
}

function probeLines(probes: Probes | undefined): readonly PrettyItem[] {
  if (probes === undefined) return [];
  return [
    { heading: 'Probes' },
    { indent: 1, name: 'Readiness', value: probes.readiness && probeText(probes.readiness) },
    { indent: 1, name: 'Liveness', value: probes.liveness && probeText(probes.liveness) },
    { indent: 1, name: 'Start-up', value: probes.startup && probeText(probes.startup) },
  ];
}

function restartLines(service: ServiceView): readonly PrettyItem[] {
  const restart = service.spec?.task?.restart;
  if (restart === undefined) return [];
  return [
    { heading: 'RestartPolicy' },
    { indent: 1, name: 'Condition', value: enumName(RestartCondition, restart.condition).toLowerCase().replace('_', '-') },
    { indent: 1, name: 'Delay', value: restart.delayMs === undefined ? undefined : formatDurationMs(restart.delayMs) },
    { indent: 1, name: 'Max attempts', value: restart.maxAttempts || undefined },
    { indent: 1, name: 'Window', value: restart.windowMs === 0 ? undefined : formatDurationMs(restart.windowMs) },
  ];
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
