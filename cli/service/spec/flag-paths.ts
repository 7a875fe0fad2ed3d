// What the manager refuses it names by the path in the spec; people know the flag that they typed.
import { type FieldProblem, ShoalError } from '../../../lib/errors.ts';

/** By whose flags; `node`: those of `node update`. */
export type SpecPurpose = 'create' | 'update' | 'scale' | 'node';

/** Where --x of `create` is --x-add for `update`. */
const LISTS: Readonly<Record<string, string>> = {
  labels: 'label',
  ports: 'publish',
  'task.container.env': 'env',
  'task.container.labels': 'container-label',
  'task.container.mounts': 'mount',
  'task.container.hosts': 'host',
  'task.container.dns.nameservers': 'dns',
  'task.container.dns.search': 'dns-search',
  'task.container.dns.options': 'dns-option',
  'task.container.ulimits': 'ulimit',
  'task.container.groups': 'group',
  'task.placement.constraints': 'constraint',
  'task.placement.spread': 'placement-pref',
  'task.placement.affinities': 'placement-pref',
  'task.genericReservations': 'generic-resource',
};

const SINGLE: Readonly<Record<string, string>> = {
  'canary.permille': 'canary',
  'canary.promoteAfterMs': 'canary-promote-after',
  name: 'name',
  mode: 'mode',
  replicas: 'replicas',
  drainPeriodMs: 'drain-period',
  specHistoryLimit: 'spec-history-limit',
  'job.maxConcurrent': 'max-concurrent',
  'job.historyLimit': 'history-limit',
  'job.deadlineMs': 'job-deadline',
  'job.ttlMs': 'ttl',
  'job.schedule': 'schedule',
  'job.schedule.cron': 'schedule',
  'job.schedule.timezone': 'schedule-timezone',
  'job.schedule.overlap': 'schedule-overlap',
  'job.schedule.missed': 'schedule-missed',
  'job.schedule.paused': 'schedule-paused',
  onReturn: 'on-return',
  rebalance: 'rebalance',
  'task.container.image': 'image',
  'task.container.resolvedImage': 'image',
  'task.container.readOnly': 'read-only',
  'task.container.init': 'init',
  'task.container.tty': 'tty',
  'task.forceUpdate': 'force',
  'task.noPortCheck': 'no-port-check',
  'task.container.command': 'entrypoint',
  'task.container.args': 'args',
  'task.container.dir': 'workdir',
  'task.container.user': 'user',
  'task.container.hostname': 'hostname',
  'task.container.stopSignal': 'stop-signal',
  'task.container.stopGracePeriodMs': 'stop-grace-period',
  'task.container.healthCheck': 'health-cmd',
  'task.container.healthCheck.intervalMs': 'health-interval',
  'task.container.healthCheck.timeoutMs': 'health-timeout',
  'task.container.healthCheck.retries': 'health-retries',
  'task.container.healthCheck.startPeriodMs': 'health-start-period',
  'task.container.capAdd': 'cap-add',
  'task.container.capDrop': 'cap-drop',
  'task.container.registryAuth': 'with-registry-auth',
  'task.placement.maxReplicasPerNode': 'replicas-max-per-node',
  'task.placement.priority': 'priority',
  'task.reservations.nanoCpus': 'reserve-cpu',
  'task.reservations.memoryBytes': 'reserve-memory',
  'task.limits.nanoCpus': 'limit-cpu',
  'task.limits.memoryBytes': 'limit-memory',
  'task.limits.pids': 'limit-pids',
  'task.restart.condition': 'restart-condition',
  'task.restart.delayMs': 'restart-delay',
  'task.restart.maxAttempts': 'restart-max-attempts',
  'task.restart.windowMs': 'restart-window',
  'task.probes.readiness': 'readiness-probe',
  'task.probes.liveness': 'liveness-probe',
  'task.probes.startup': 'startup-probe',
  'task.logDriver.name': 'log-driver',
  'task.logDriver.options': 'log-opt',
  ...rollout('update'),
  ...rollout('rollback'),
};

/** What is an operand of the command, or has another flag there. */
const SPECIAL: Readonly<Record<SpecPurpose, Readonly<Record<string, string>>>> = {
  create: { 'task.container.image': 'IMAGE', 'task.container.args': 'COMMAND' },
  update: { name: 'SERVICE' },
  scale: { replicas: 'SERVICE=REPLICAS' },
  node: { role: '--role', availability: '--availability', labels: '--label-add' },
};

function rollout(kind: 'update' | 'rollback'): Readonly<Record<string, string>> {
  return {
    [`${kind}.parallelism`]: `${kind}-parallelism`,
    [`${kind}.delayMs`]: `${kind}-delay`,
    [`${kind}.monitorMs`]: `${kind}-monitor`,
    [`${kind}.failureAction`]: `${kind}-failure-action`,
    [`${kind}.maxFailureRatio`]: `${kind}-max-failure-ratio`,
    [`${kind}.order`]: `${kind}-order`,
    [`${kind}.progressDeadlineMs`]: `${kind}-progress-deadline`,
  };
}

/** "--mount target" for "task.container.mounts[0].target"; undefined for what no flag sets. */
export function flagOfPath(path: string, purpose: SpecPurpose): string | undefined {
  // ports[0].targetPort, and labels["key"]: what stands in brackets says which one of a list.
  const plain = path.replace(/^spec\./, '').replaceAll(/\[(?:"(?:[^"\\]|\\.)*"|\d+)\]/g, '');
  const parts = plain.split('.');
  for (let length = parts.length; length > 0; length--) {
    const known = parts.slice(0, length).join('.');
    const rest = (known === 'ports' ? portWords(parts.slice(length)) : parts.slice(length)).map((part) =>
      part.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
    );
    const flag = flagOf(known, purpose);
    if (flag !== undefined) return [flag, ...rest].join(' ');
  }
  return undefined;
}

/** Where --publish has another word for a setting of the mesh than the spec. */
const PORT_WORDS: Readonly<Record<string, string>> = {
  dataPath: 'path',
  proxyProtocol: 'proxy-protocol',
  trustedSources: 'trusted',
  maxConnections: 'max-connections',
  connectTimeoutMs: 'connect-timeout',
  idleTimeoutMs: 'idle-timeout',
  requestTimeoutMs: 'request-timeout',
  responseTimeoutMs: 'response-timeout',
  stickyCookie: 'sticky',
  accessLogPermille: 'access-log',
  holdMs: 'hold',
  maxHeld: 'max-held',
};

/** They are given beside the rest of the port: "--publish host", not "--publish ingress http host". */
function portWords(parts: readonly string[]): readonly string[] {
  return parts.filter((part) => part !== 'ingress' && part !== 'http').map((part) => PORT_WORDS[part] ?? part);
}

function flagOf(path: string, purpose: SpecPurpose): string | undefined {
  const special = SPECIAL[purpose][path];
  if (special !== undefined) return special;
  const list = LISTS[path];
  if (list !== undefined) return `--${list}${purpose === 'create' ? '' : '-add'}`;
  const single = SINGLE[path];
  return single === undefined ? undefined : `--${single}`;
}

/** The same with flags in the place of paths, where there are such. */
export function problemsInFlags(purpose: SpecPurpose, problems: readonly FieldProblem[]): readonly FieldProblem[] {
  return problems.map(({ path, message }) => ({
    path: flagOfPath(path, purpose) ?? path,
    // "... is published twice, by ports[1] too"
    message: message.replaceAll(/\b[a-z][\w.]*\[\d+\](?:\.\w+)*/gi, (other) => flagOfPath(other, purpose) ?? other),
  }));
}

/** "--publish" and "--publish-add" alike: it may be given several times. */
export function isListFlag(flag: string): boolean {
  return Object.values(LISTS).includes(flag.replace(/^--/, '').replace(/-add$/, '')) || /^--cap-(?:add|drop)$/.test(flag);
}

/** The error as `call` rejects with, its paths replaced by flags where there are such. */
export async function inFlags<T>(purpose: SpecPurpose, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    const error = ShoalError.from(thrown);
    if (error.fields.length === 0) throw error;
    const fields = problemsInFlags(purpose, error.fields);
    throw new ShoalError(error.code, messageWith(error, fields), { fields, cause: error });
  }
}

/** The message of a refusal ends with the list of its fields. */
function messageWith({ message, fields: before }: ShoalError, fields: readonly FieldProblem[]): string {
  const listed = (list: readonly FieldProblem[]): string => list.map((field) => `${field.path}: ${field.message}`).join('; ');
  return message.endsWith(listed(before)) ? `${message.slice(0, -listed(before).length)}${listed(fields)}` : message;
}
