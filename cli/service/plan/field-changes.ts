// What differs between two specs, field by field, under the flags that set the fields.
import {
  enumName,
  FailureAction,
  MountType,
  PortMode,
  PortProtocol,
  RestartCondition,
  ServiceMode,
  type ServiceSpec,
  UpdateOrder,
} from '../../../proto/index.ts';
import { formatDurationMs, formatSizeBytes } from '../../../lib/units.ts';
import { flagOfPath } from '../spec/flag-paths.ts';

export interface FieldChange {
  /** "--env-add"; the path itself where no flag sets the field. */
  readonly flag: string;
  /** "task.container.env[COLOR]" */
  readonly path: string;
  /** Empty: not there, or at its default. */
  readonly before: string;
  readonly after: string;
}

/** `before` undefined: a service that is to be created. */
export function fieldChanges(before: ServiceSpec | undefined, after: ServiceSpec): readonly FieldChange[] {
  const [old, now] = [before === undefined ? new Map<string, string>() : textsOf(before), textsOf(after)];
  const purpose = before === undefined ? 'create' : 'update';
  const changes: FieldChange[] = [];
  for (const path of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(path) ?? '', now.get(path) ?? ''];
    const isDefault = (text: string): boolean => text === '' || text === '0' || text === 'no';
    if (was === is || (isDefault(was) && isDefault(is))) continue;
    changes.push({ flag: flagOf(path, purpose, !now.has(path)), path, before: was, after: is });
  }
  return changes.sort((one, other) => (one.path < other.path ? -1 : 1));
}

function flagOf(path: string, purpose: 'create' | 'update', isGone: boolean): string {
  const known = OWN_FLAGS[path] ?? flagOfPath(path.replaceAll(/\[.*\]/g, '[0]'), purpose);
  const flag = known?.split(' ')[0];
  if (flag === undefined) return path;
  return isGone ? flag.replace(/-add$/, '-rm') : flag;
}

/** Flags that no refusal speaks of. */
const OWN_FLAGS: Readonly<Record<string, string>> = {
  'task.container.resolvedImage': '--image',
  'task.container.readOnly': '--read-only',
  'task.container.init': '--init',
  'task.container.tty': '--tty',
  'task.forceUpdate': '--force',
  'task.noPortCheck': '--no-port-check',
};

/** By path: lists whose order means nothing have an entry each. */
function textsOf(spec: ServiceSpec): Map<string, string> {
  const texts = new Map<string, string>();
  collect('', spec, texts);
  return texts;
}

const ENUMS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  mode: ServiceMode,
  'task.restart.condition': RestartCondition,
  'update.failureAction': FailureAction,
  'update.order': UpdateOrder,
  'rollback.failureAction': FailureAction,
  'rollback.order': UpdateOrder,
};
/** One thing, not a set of things. */
const WHOLE_LISTS: ReadonlySet<string> = new Set(['task.container.command', 'task.container.args', 'task.container.healthCheck.test']);

function collect(path: string, value: unknown, texts: Map<string, string>): void {
  if (value === undefined || value === null) return;
  if (Array.isArray(value)) {
    const list = value as readonly unknown[];
    if (WHOLE_LISTS.has(path)) texts.set(path, list.map(String).join(' '));
    else for (const item of list) collectItem(path, item, texts);
  } else if (typeof value === 'object') {
    const isMap = /(?:abels|ptions)$/.test(path);
    for (const [key, inner] of Object.entries(value))
      collect(isMap ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`, inner, texts);
  } else texts.set(path, scalarText(path, value as string | number | boolean));
}

function collectItem(path: string, item: unknown, texts: Map<string, string>): void {
  if (typeof item !== 'object' || item === null) {
    const text = String(item);
    const equals = path.endsWith('.env') ? text.indexOf('=') : -1;
    texts.set(`${path}[${equals === -1 ? text : text.slice(0, equals)}]`, equals === -1 ? text : text.slice(equals + 1));
    return;
  }
  const { key, text } = itemText(path, item as Readonly<Record<string, unknown>>);
  texts.set(`${path}[${key}]`, text);
}

/** What tells the item from others of its list, and what it says. */
function itemText(path: string, item: Readonly<Record<string, unknown>>): { readonly key: string; readonly text: string } {
  const number = (name: string): number => Number(item[name] ?? 0);
  if (path === 'ports') {
    const target = `${String(number('targetPort'))}/${enumText(PortProtocol, number('protocol'))}`;
    const published = number('publishedPort');
    return { key: target, text: `${published === 0 ? 'a free port' : String(published)}:${target}, ${enumText(PortMode, number('mode'))}` };
  }
  const parts = Object.entries(item).filter(([, value]) => value !== '' && value !== 0 && value !== false && value !== undefined);
  const said = parts
    .map(([name, value]) => (name === 'type' ? '' : `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`))
    .filter((part) => part !== '' && !part.endsWith('={}'));
  const type = path.endsWith('.mounts') ? [`type=${enumText(MountType, number('type'))}`] : [];
  const key = ['target', 'name', 'key'].map((name) => item[name]).find((value) => typeof value === 'string' && value !== '');
  return { key: typeof key === 'string' ? key : said.join(), text: [...type, ...said].join(',') };
}

function scalarText(path: string, value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return value;
  const names = ENUMS[path];
  if (names !== undefined) return enumText(names, value);
  if (path.endsWith('Ms')) return formatDurationMs(value);
  if (path.endsWith('Bytes')) return value === 0 ? '0' : formatSizeBytes(value);
  return path.endsWith('nanoCpus') ? String(value / 1e9) : String(value);
}

function enumText(names: Readonly<Record<string, number>>, value: number): string {
  return enumName(names, value).replace('FAILURE_', '').toLowerCase().replaceAll('_', '-');
}
