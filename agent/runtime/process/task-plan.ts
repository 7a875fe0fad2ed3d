// What a plain process makes of a TaskSpec: its command, environment and stop signal, or the list of what it cannot honour. Pure, but for the
// facts of the host that are passed in.
import { constants } from 'node:os';
import { ShoalError } from '../../../lib/errors.ts';
import { ContainerSpec, type TaskSpec } from '../../../proto/index.ts';
import { type LeasedPort, type TaskContext } from '../runtime.ts';

/** The one image that this runtime takes. */
export const PROCESS_IMAGE = 'process';
const DEFAULT_GRACE_MS = 10_000;
/** Log drivers whose users expect no more than that `service logs` works. */
const LOG_DRIVERS = ['', 'json-file', 'local'];

export interface HostFacts {
  readonly path: string;
  readonly home: string;
  /** Name and number of the agent's own user. */
  readonly userName: string;
  readonly userId: number;
}

export interface ProcessPlan {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Empty: the task's own folder. */
  readonly workdir: string;
  readonly stopSignal: NodeJS.Signals;
  readonly stopGraceMs: number;
}

/** Throws `failed_precondition` with every reason why the task cannot run as a plain process. */
export function planProcess(task: TaskContext, host: HostFacts): ProcessPlan {
  const { spec, taskName } = task.assignment;
  const container = spec?.container ?? ContainerSpec.create();
  if (container.image !== PROCESS_IMAGE) {
    throw new ShoalError(
      'failed_precondition',
      `image "${container.image}" cannot run on this node: its agent runs plain processes, without a container engine. ` +
        `Install Docker or Podman and start the agent with --runtime docker, or use the image "${PROCESS_IMAGE}" with a command of this host`,
    );
  }
  const refused = [...(spec === undefined ? [] : refusedOfTask(spec)), ...refusedOfContainer(container, host)];
  if (refused.length > 0) {
    throw new ShoalError(
      'failed_precondition',
      `a plain process cannot honour ${refused.join(', ')}. Leave them out, or place the service on a node with Docker or Podman`,
    );
  }
  const argv = [...container.command, ...container.args];
  if (argv.length === 0) {
    throw new ShoalError('failed_precondition', `${taskName} names no command: a plain process has no image that could say what to run`);
  }
  return {
    argv,
    env: environment(container.env, task.dataAddress, task.ports, host),
    workdir: container.dir,
    stopSignal: signalOf(container.stopSignal),
    stopGraceMs: container.stopGracePeriodMs ?? DEFAULT_GRACE_MS,
  };
}

function refusedOfTask(spec: TaskSpec): string[] {
  return [
    ...named('the CPU limit (nothing enforces it; a reservation is fine)', (spec.limits?.nanoCpus ?? 0) > 0),
    ...named('the memory limit (nothing enforces it; a reservation is fine)', (spec.limits?.memoryBytes ?? 0) > 0),
    ...named('the limit of processes', (spec.limits?.pids ?? 0) > 0),
    ...named(`the log driver ${spec.logDriver?.name ?? ''}`, !LOG_DRIVERS.includes(spec.logDriver?.name ?? '')),
    ...named('log options (the node keeps the output in files of bounded size)', Object.keys(spec.logDriver?.options ?? {}).length > 0),
  ];
}

function refusedOfContainer(container: ContainerSpec, host: HostFacts): string[] {
  const sameUser = ['', host.userName, String(host.userId)].includes(container.user);
  return [
    ...named('mounts', container.mounts.length > 0),
    ...named('a hostname', container.hostname !== ''),
    ...named(`the user ${container.user} (the agent's own is ${host.userName})`, !sameUser),
    ...named('groups', container.groups.length > 0),
    ...named('entries of /etc/hosts', container.hosts.length > 0),
    ...named('DNS settings', container.dns !== undefined && Object.values(container.dns).some((list: unknown[]) => list.length > 0)),
    ...named('added capabilities', container.capAdd.length > 0),
    ...named('dropped capabilities', container.capDrop.length > 0),
    ...named('a read-only root', container.readOnly),
    ...named('ulimits', container.ulimits.length > 0),
    ...named('a terminal', container.tty),
    ...named(`the stop signal ${container.stopSignal} (unknown on this host)`, !isSignal(container.stopSignal)),
  ];
}

function named(what: string, wanted: boolean): string[] {
  return wanted ? [what] : [];
}

/** What the mesh and the other nodes rely on (HOST and the ports) wins over the task's own, and that over the host's. */
function environment(env: readonly string[], dataAddress: string, ports: readonly LeasedPort[], host: HostFacts): Record<string, string> {
  const result: Record<string, string> = { PATH: host.path, HOME: host.home };
  for (const entry of env) {
    const at = entry.indexOf('=');
    // "KEY" alone takes the variable away, as with Docker.
    if (at < 0) Reflect.deleteProperty(result, entry);
    else result[entry.slice(0, at)] = entry.slice(at + 1);
  }
  result['HOST'] = dataAddress;
  const first = ports[0];
  if (first !== undefined) result['PORT'] = String(first.nodePort);
  for (const port of ports) {
    if (port.protocol === 'udp') result[`PORT_${port.targetPort}_UDP`] = String(port.nodePort);
    if (port.protocol === 'tcp' || !ports.some((other) => other.protocol === 'tcp' && other.targetPort === port.targetPort)) {
      result[`PORT_${port.targetPort}`] = String(port.nodePort);
    }
  }
  return result;
}

function isSignal(text: string): boolean {
  return text === '' || findSignal(text) !== undefined;
}

/** "SIGINT", "INT" or "2"; SIGTERM where none is named. */
export function signalOf(text: string): NodeJS.Signals {
  return findSignal(text) ?? 'SIGTERM';
}

function findSignal(text: string): NodeJS.Signals | undefined {
  const wanted = text.toUpperCase();
  const entry = Object.entries(constants.signals).find(
    ([name, number]) => name === wanted || name === `SIG${wanted}` || String(number) === wanted,
  );
  return entry?.[0] as NodeJS.Signals | undefined;
}
