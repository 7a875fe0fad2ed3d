// How two specs differ, setting by setting, each under the flag that sets it and in the words that the flag takes: for `service diff` and for plans. What
// no flag sets goes by its path. Lists and maps are compared entry by entry.
import { formatDurationMs, formatSizeBytes } from '../../../lib/units.ts';
import {
  enumName,
  FailureAction,
  JobMissed,
  JobOverlap,
  type Mount,
  MountType,
  OnReturn,
  type PortSpec,
  RebalancePolicy,
  RestartCondition,
  ServiceMode,
  type ServiceSpec,
  type Ulimit,
  UpdateOrder,
} from '../../../proto/index.ts';
import { protocolName, ruleText } from '../../format/ports.ts';
import { publishText } from '../../format/publish.ts';
import { flagOfPath } from './flag-paths.ts';

export interface SpecChange {
  /** "--env" ("--env-add" or "--env-rm" of an update), or the path of what no flag sets. */
  readonly flag: string;
  readonly path: string;
  /** Undefined: not set, or no such entry. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** In the order of the fields of a spec. `purpose`: by whose flags. A spec that is not there has all at its default. */
export function specChanges(
  before: ServiceSpec | undefined,
  after: ServiceSpec | undefined,
  purpose: 'create' | 'update' = 'create',
): readonly SpecChange[] {
  const [olds, news] = [settingsOf(before), settingsOf(after)];
  const keys = new Set([...olds.keys(), ...news.keys()]);
  return [...keys].flatMap((key) => {
    const [old, fresh] = [olds.get(key), news.get(key)];
    const path = (old ?? fresh)?.path ?? key;
    if (old?.text === fresh?.text || (before === undefined && DEFAULTS.has(fresh?.text ?? ''))) return [];
    return [{ flag: flagOf(path, purpose, fresh === undefined), path, before: old?.text, after: fresh?.text }];
  });
}

const DEFAULTS: ReadonlySet<string> = new Set(['', '0', '0s']);

interface Setting {
  readonly path: string;
  readonly text: string;
}

/** Keyed so that what is set anew has the key of what it replaces. */
type Settings = Map<string, Setting>;

const MAPS: ReadonlySet<string> = new Set(['labels', 'task.container.labels', 'task.logDriver.options']);
/** Their order is what they mean. */
const WHOLE_LISTS: ReadonlySet<string> = new Set(['task.container.command', 'task.container.args', 'task.container.healthCheck.test']);
/** 0 stands for "not given". */
const UNSET_AT_ZERO =
  /^job\.(?:maxConcurrent|deadlineMs)$|^task\.(?:limits|reservations|container\.healthCheck|placement)\.|^task\.forceUpdate$/;
const ENUMS: readonly (readonly [path: RegExp, values: Readonly<Record<string, number>>])[] = [
  [/^mode$/, ServiceMode],
  [/^onReturn$/, OnReturn],
  [/^rebalance$/, RebalancePolicy],
  [/^task\.restart\.condition$/, RestartCondition],
  [/^(?:update|rollback)\.failureAction$/, FailureAction],
  [/^(?:update|rollback)\.order$/, UpdateOrder],
  [/^job\.schedule\.overlap$/, JobOverlap],
  [/^job\.schedule\.missed$/, JobMissed],
];

function settingsOf(spec: ServiceSpec | undefined): Settings {
  const settings: Settings = new Map();
  if (spec !== undefined) collect(spec, '', settings);
  return settings;
}

function collect(value: unknown, path: string, settings: Settings): void {
  const add = (key: string, text: string): void => {
    if (text !== '') settings.set(key, { path, text });
  };
  if (Array.isArray(value)) {
    const list = value as readonly unknown[];
    if (WHOLE_LISTS.has(path)) add(path, list.map((word) => quoted(String(word))).join(' '));
    else for (const entry of list) add(`${path}[${entryKey(path, entry)}]`, entryText(path, entry));
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      if (MAPS.has(path)) add(`${path}[${name}]`, `${name}=${String(inner)}`);
      else collect(inner, path === '' ? name : `${path}.${name}`, settings);
    }
  } else {
    add(path, scalarText(path, value));
  }
}

function scalarText(path: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') return value === true ? 'true' : '';
  if (value === 0 && UNSET_AT_ZERO.test(path)) return '';
  const names = ENUMS.find(([pattern]) => pattern.test(path))?.[1];
  if (names !== undefined)
    return enumName(names, value)
      .replace(/^(?:FAILURE|OVERLAP|MISSED|REBALANCE)_/, '')
      .toLowerCase()
      .replaceAll('_', '-');
  if (path.endsWith('Ms')) return formatDurationMs(value);
  if (path.endsWith('Bytes')) return formatSizeBytes(value);
  return path.endsWith('nanoCpus') ? String(value / 1e9) : String(value);
}

function entryText(path: string, entry: unknown): string {
  switch (path) {
    case 'ports':
      return publishText(entry as PortSpec);
    case 'task.container.mounts':
      return mountText(entry as Mount);
    case 'task.container.ulimits': {
      const { name, soft, hard } = entry as Ulimit;
      return `${name}=${String(soft)}:${String(hard)}`;
    }
    default:
      return typeof entry === 'string' ? entry : JSON.stringify(entry);
  }
}

/** What another entry has to share to be its successor. */
function entryKey(path: string, entry: unknown): string {
  switch (path) {
    case 'ports': {
      const { protocol, publishedPort, targetPort, mode, ingress } = entry as PortSpec;
      const number = publishedPort === 0 ? `:${String(targetPort)}` : String(publishedPort);
      return `${String(mode)}/${protocolName(protocol)}/${number} ${ruleText(ingress?.http)}`.trim();
    }
    case 'task.container.mounts':
      return (entry as Mount).target;
    case 'task.container.ulimits':
      return (entry as Ulimit).name;
    case 'task.container.env':
      return String(entry).replace(/=.*/s, '');
    default:
      return entryText(path, entry);
  }
}

function mountText(mount: Mount): string {
  const fields: readonly (readonly [name: string, value: string])[] = [
    ['type', enumName(MountType, mount.type).toLowerCase()],
    ['source', mount.source],
    ['target', mount.target],
    ['readonly', mount.readOnly ? 'true' : ''],
    ['bind-propagation', mount.propagation],
    ['volume-nocopy', mount.volumeNoCopy ? 'true' : ''],
    ['volume-driver', mount.volumeDriver],
    ...Object.entries(mount.volumeLabels).map(([key, value]) => ['volume-label', `${key}=${value}`] as const),
    ...Object.entries(mount.volumeOptions).map(([key, value]) => ['volume-opt', `${key}=${value}`] as const),
    ['tmpfs-size', mount.tmpfsSizeBytes === 0 ? '' : String(mount.tmpfsSizeBytes)],
    ['tmpfs-mode', mount.tmpfsMode === 0 ? '' : mount.tmpfsMode.toString(8)],
  ];
  return fields.flatMap(([name, value]) => (value === '' ? [] : [`${name}=${value}`])).join(',');
}

function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Operands of `create` as `update` calls them. */
function flagOf(path: string, purpose: 'create' | 'update', isGone: boolean): string {
  const flag = flagOfPath(path, purpose);
  if (flag === 'IMAGE') return '--image';
  if (flag === 'COMMAND') return '--args';
  return (isGone ? flag?.replace(/-add\b/, '-rm') : flag) ?? path;
}
