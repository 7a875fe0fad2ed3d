// `service inspect --pretty`: what a service's containers are given. Everything that is set has a line.
import { formatDurationMs, formatSizeBytes } from '../../lib/units.ts';
import { type ContainerSpec, type HealthCheck, type Mount, MountType, enumName } from '../../proto/index.ts';
import { type PrettyItem, prettyMap } from './pretty.ts';

export function containerLines(container: ContainerSpec): readonly PrettyItem[] {
  const { dns, healthCheck, stopGracePeriodMs } = container;
  return [
    { heading: 'ContainerSpec' },
    line('Image', container.resolvedImage || container.image),
    line('Command', container.command.join(' ')),
    line('Args', container.args.join(' ')),
    line('Env', container.env.join(' ')),
    line('Dir', container.dir),
    line('User', container.user),
    line('Groups', container.groups.join(', ')),
    line('Hostname', container.hostname),
    line('Hosts', container.hosts.join(', ')),
    line('DNS servers', dns?.nameservers.join(', ')),
    line('DNS search', dns?.search.join(', ')),
    line('DNS options', dns?.options.join(', ')),
    line('Stop signal', container.stopSignal),
    line('Stop grace', stopGracePeriodMs === undefined ? undefined : formatDurationMs(stopGracePeriodMs)),
    line('Cap add', container.capAdd.join(', ')),
    line('Cap drop', container.capDrop.join(', ')),
    line('Ulimits', container.ulimits.map(({ name, soft, hard }) => `${name}=${String(soft)}:${String(hard)}`).join(', ')),
    line('Read-only root', yes(container.readOnly)),
    line('TTY', yes(container.tty)),
    line('Init', container.init === undefined ? undefined : container.init ? 'yes' : 'no'),
    line('Registry login', yes(container.registryAuth !== '')),
    ...container.mounts.map((mount) => line('Mount', mountText(mount))),
    ...prettyMap('Container Labels', container.labels),
    ...(healthCheck === undefined ? [] : healthLines(healthCheck)),
  ];
}

function line(name: string, value: string | undefined): PrettyItem {
  return { indent: 1, name, value };
}

function yes(isSet: boolean): string | undefined {
  return isSet ? 'yes' : undefined;
}

/** "/data <- bind /srv (read-only, propagation rslave)" */
function mountText(mount: Mount): string {
  const options = [
    ...(mount.readOnly ? ['read-only'] : []),
    ...given('propagation', mount.propagation),
    ...(mount.volumeNoCopy ? ['no copy'] : []),
    ...given('driver', mount.volumeDriver),
    ...given('options', pairs(mount.volumeOptions)),
    ...given('labels', pairs(mount.volumeLabels)),
    ...given('size', mount.tmpfsSizeBytes === 0 ? '' : formatSizeBytes(mount.tmpfsSizeBytes)),
    ...given('mode', mount.tmpfsMode === 0 ? '' : mount.tmpfsMode.toString(8).padStart(4, '0')),
  ];
  const from = `${enumName(MountType, mount.type).toLowerCase()} ${mount.source}`.trimEnd();
  return `${mount.target} <- ${from}${options.length === 0 ? '' : ` (${options.join(', ')})`}`;
}

function given(name: string, value: string): readonly string[] {
  return value === '' ? [] : [`${name} ${value}`];
}

function pairs(record: Readonly<Record<string, string>>): string {
  return Object.entries(record)
    .sort()
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

function healthLines(check: HealthCheck): readonly PrettyItem[] {
  return [
    { heading: 'Healthcheck' },
    line('Test', check.test.join(' ')),
    line('Interval', duration(check.intervalMs)),
    line('Timeout', duration(check.timeoutMs)),
    line('Retries', check.retries === 0 ? undefined : String(check.retries)),
    line('Start period', duration(check.startPeriodMs)),
  ];
}

/** Zero: the engine's default. */
function duration(ms: number): string | undefined {
  return ms === 0 ? undefined : formatDurationMs(ms);
}
