// What of a task decides where it fits. Tasks of one shape, of whatever service, share one ordering of the nodes.
import { type GenericResource, MountType, type Placement, type PortSpec, type TaskSpec } from '../../proto/index.ts';
import { type HostPort, hostPortKey, hostPortsOf } from './demand.ts';
import { NO_PREFERENCES, type Preferences, preferencesOf, preferencesText } from './preferences.ts';

export interface Shape {
  /** Equal keys: equal in all the fields below but maxReplicasPerNode and priority. */
  readonly key: string;
  /** The part of the key that neither amounts nor host ports go into. */
  readonly kindKey: string;
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly generics: readonly GenericResource[];
  readonly hostPorts: readonly HostPort[];
  readonly isProcess: boolean;
  /** As nodes list them: "volume/nfs", "log/fluentd". */
  readonly plugins: readonly string[];
  readonly placement: Placement | undefined;
  readonly preferences: Preferences;
  /** 0: unlimited. */
  readonly maxReplicasPerNode: number;
  readonly priority: number;
}

const BY_SPEC = new WeakMap<TaskSpec, { readonly ports: readonly PortSpec[]; readonly shape: Shape }>();
const NO_PLUGINS: readonly string[] = [];

export function shapeOf(spec: TaskSpec, ports: readonly PortSpec[]): Shape {
  const known = BY_SPEC.get(spec);
  if (known !== undefined && known.ports === ports) return known.shape;
  const shape = makeShape(spec, ports);
  BY_SPEC.set(spec, { ports, shape });
  return shape;
}

/** The greatest power of two that is not more: nodes without that much have no room for any amount that rounds to it. */
export function roundDown(amount: number): number {
  return amount < 1 ? 0 : 2 ** Math.floor(Math.log2(amount));
}

/** The same for shapes that differ only a little in amounts, or in host ports. */
export function coarseKeyOf({ nanoCpus, memoryBytes, kindKey }: Shape): string {
  return `~${roundDown(nanoCpus)}|${roundDown(memoryBytes)}|${kindKey}`;
}

function makeShape(spec: TaskSpec, ports: readonly PortSpec[]): Shape {
  const { container, placement } = spec;
  const nanoCpus = spec.reservations?.nanoCpus ?? 0;
  const memoryBytes = spec.reservations?.memoryBytes ?? 0;
  const generics = spec.genericReservations;
  const hostPorts = hostPortsOf(ports);
  const isProcess = container?.image === 'process';
  const plugins = pluginsOf(spec);
  const asked = placement === undefined ? '' : textOf(placement);
  const kindKey = `${isProcess ? 'p' : 'c'}|${plugins.length === 0 ? '' : JSON.stringify(plugins)}|${asked}`;
  return {
    key: `${nanoCpus}|${memoryBytes}${generics.length === 0 ? '' : genericText(generics)}|${hostPorts.length === 0 ? '' : hostPorts.map(hostPortKey).join()}|${kindKey}`,
    kindKey,
    nanoCpus,
    memoryBytes,
    generics,
    hostPorts,
    isProcess,
    plugins,
    placement,
    preferences: placement === undefined ? NO_PREFERENCES : preferencesOf(placement),
    maxReplicasPerNode: placement?.maxReplicasPerNode ?? 0,
    priority: placement?.priority ?? 0,
  };
}

function genericText(generics: readonly GenericResource[]): string {
  return JSON.stringify(generics.map(({ kind, count }) => [kind, count]));
}

function textOf(placement: Placement): string {
  const { constraints, platforms } = placement;
  const platformText = platforms.length === 0 ? '' : JSON.stringify(platforms.map(({ os, arch }) => [os, arch]));
  // Most have one constraint, and JSON costs more than the rest of the key.
  const text = constraints.length === 1 ? (constraints[0] ?? '') : constraints.length === 0 ? '' : JSON.stringify(constraints);
  return `${platformText}|${preferencesText(placement)}|${text}`;
}

function pluginsOf({ container, logDriver }: TaskSpec): readonly string[] {
  const mounts = container?.mounts ?? [];
  if (mounts.length === 0 && logDriver === undefined) return NO_PLUGINS;
  const plugins = new Set<string>();
  for (const mount of mounts) {
    if (mount.type === MountType.VOLUME && mount.volumeDriver !== '') plugins.add(`volume/${mount.volumeDriver}`);
  }
  if (logDriver !== undefined && logDriver.name !== '' && logDriver.name !== 'none') plugins.add(`log/${logDriver.name}`);
  return [...plugins].sort();
}
