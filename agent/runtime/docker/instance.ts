// What the engine says of a container, read into an Instance. Pure.
import { type ContainerInfo, type ContainerInspectInfo } from 'dockerode';
import { formatSizeBytes } from '../../../lib/units.ts';
import { type Exit, type Health, type Instance } from '../runtime.ts';
import { LABEL, parsePorts } from './labels.ts';

/** `reachable`: whether a container's own address can be reached from this host (not with rootless engines or in a VM). */
export function instanceOf(info: ContainerInspectInfo, reachable: boolean): Instance {
  const labels = labelsOf(info.Config);
  const state = stateOf(info.State.Status);
  return {
    taskId: labels[LABEL.taskId] ?? '',
    containerId: info.Id,
    state,
    pid: state === 'running' ? info.State.Pid : 0,
    address: state === 'running' && reachable ? firstAddress(info.NetworkSettings.Networks) : undefined,
    ports: parsePorts(labels[LABEL.ports] ?? ''),
    exit: state === 'exited' ? exitOf(info) : undefined,
  };
}

/** The same from one row of a list, which knows no pid and no reason of an exit. */
export function listedInstance(info: ContainerInfo, reachable: boolean): Instance {
  const state = stateOf(info.State);
  const labels = labelsOf(info);
  const exitCode = /^Exited \((-?\d+)\)/.exec(info.Status)?.[1];
  return {
    taskId: labels[LABEL.taskId] ?? '',
    containerId: info.Id,
    state,
    pid: 0,
    address: state === 'running' && reachable ? firstAddress(info.NetworkSettings.Networks) : undefined,
    ports: parsePorts(labels[LABEL.ports] ?? ''),
    exit: state === 'exited' ? { exitCode: exitCode === undefined ? UNKNOWN_EXIT_CODE : Number(exitCode), reason: '' } : undefined,
  };
}

const UNKNOWN_EXIT_CODE = 255;

/** Podman answers null where there are no labels. */
export function labelsOf(info: { readonly Labels: Readonly<Record<string, string>> | null }): Readonly<Record<string, string>> {
  return info.Labels ?? {};
}

export function exitOf(info: ContainerInspectInfo): Exit {
  const { ExitCode: exitCode, OOMKilled: oomKilled, Error: error } = info.State;
  if (oomKilled && exitCode !== 0) {
    const limitBytes = info.HostConfig.Memory ?? 0;
    return { exitCode, reason: limitBytes > 0 ? `killed for memory (limit ${formatSizeBytes(limitBytes)})` : 'killed for memory' };
  }
  return { exitCode, reason: error };
}

/** Health and what the last check said. A container without a check has "none". */
export function healthOf(info: ContainerInspectInfo): { readonly health: Health; readonly detail: string } {
  const health = info.State.Health;
  switch (health?.Status) {
    case 'starting':
    case 'healthy':
    case 'unhealthy':
      return { health: health.Status, detail: detailOf(health.Log) };
    default:
      return { health: 'none', detail: '' };
  }
}

interface LogEntry {
  readonly ExitCode: number;
  readonly Output: string;
}

const MAX_DETAIL_LENGTH = 300;

function detailOf(log: readonly LogEntry[] | null): string {
  const last = log?.at(-1);
  if (last === undefined) return '';
  const output = last.Output.trim().slice(0, MAX_DETAIL_LENGTH);
  return last.ExitCode === 0 ? output : `exit code ${last.ExitCode}${output === '' ? '' : `: ${output}`}`;
}

function stateOf(status: string): Instance['state'] {
  switch (status) {
    case 'created':
    case 'configured':
    case 'initialized':
      return 'created';
    case 'exited':
    case 'dead':
    case 'removing':
    case 'stopped':
      return 'exited';
    default:
      // running, paused, restarting, stopping: its process is there.
      return 'running';
  }
}

function firstAddress(networks: Readonly<Record<string, { readonly IPAddress: string }>> | null): string | undefined {
  return Object.values(networks ?? {}).find((network) => network.IPAddress !== '')?.IPAddress;
}
