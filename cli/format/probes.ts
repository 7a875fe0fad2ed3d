// Probes as they are given on the command line, and what they say of a task, in plain words.
import { formatDurationMs } from '../../lib/units.ts';
import { type Probe, type TaskView, TaskState } from '../../proto/index.ts';

/** "http:8080/ready,interval=5s": what --readiness-probe takes; settings left at their default are left out. */
export function probeText(probe: Probe): string {
  return [
    checkText(probe),
    ...setting('interval', probe.intervalMs, formatDurationMs),
    ...setting('timeout', probe.timeoutMs, formatDurationMs),
    ...setting('failures', probe.failures, String),
    ...setting('successes', probe.successes, String),
    ...setting('initial-delay', probe.initialDelayMs, formatDurationMs),
  ].join(',');
}

function setting(name: string, value: number, format: (value: number) => string): readonly string[] {
  return value === 0 ? [] : [`${name}=${format(value)}`];
}

function checkText({ check }: Probe): string {
  switch (check?.case) {
    case undefined:
      return 'unknown to this version';
    case 'tcp':
      return `tcp:${String(check.value.port)}`;
    case 'grpc':
      return `grpc:${String(check.value.port)}${check.value.service === '' ? '' : `/${check.value.service}`}`;
    case 'exec': {
      const { command } = check.value;
      const isLine = command.length === 3 && command[0] === '/bin/sh' && command[1] === '-c';
      return `exec:${isLine ? (command[2] ?? '') : JSON.stringify(command)}`;
    }
    case 'http': {
      const { tls, port, path, host, headers } = check.value;
      const more = [...(host === '' ? [] : [`host=${host}`]), ...headers.map(({ name, value }) => `header=${name}:${value}`)];
      return [`${tls ? 'https' : 'http'}:${String(port)}${path}`, ...more].join(',');
    }
  }
}

/** Why a task that runs gets no traffic; undefined: it gets some, or it does not run. */
export function whyNotReady({ state, status }: TaskView): string | undefined {
  if (state !== TaskState.RUNNING || status === undefined) return undefined;
  if (status.readiness !== undefined) return status.readiness.ready ? undefined : status.readiness.reason;
  const silent = status.endpoints.filter((endpoint) => !endpoint.ready).map((endpoint) => endpoint.targetPort);
  return silent.length === 0 ? undefined : `nothing answers on port ${silent.join(', ')} yet`;
}
