// What users name objects by: the full id, the exact name, or a prefix of the id that only one object has. In this order.
import { ShoalError } from '../../lib/errors.ts';
import type { Node, Service, Task } from '../../proto/index.ts';
import { nameId, type Row, type StateView } from '../state/index.ts';
import { hostnameOf, slotOf, taskName } from './task-names.ts';

type Found<T> =
  | { readonly kind: 'one'; readonly row: Row<T> }
  | { readonly kind: 'none' }
  /** As they are shown in the error. */
  | { readonly kind: 'many'; readonly candidates: readonly string[] };

export type ObjectKind = 'service' | 'node' | 'task';

const MAX_CANDIDATES = 5;
const NONE = { kind: 'none' } as const;

/** Errors: `not_found`; `invalid_argument` for an ambiguous prefix, naming the candidates. */
export function serviceByRef(state: StateView, ref: string): Row<Service> {
  return only(servicesByRefs(state, [ref]));
}

export function nodeByRef(state: StateView, ref: string): Row<Node> {
  return only(nodesByRefs(state, [ref]));
}

/** The newest task where the ref is a slot's name ("web.3"). */
export function taskByRef(state: StateView, ref: string): Row<Task> {
  return only(tasksByRefs(state, [ref]));
}

/** In the order of the refs, each once. Names every unknown one, not just the first. */
export function servicesByRefs(state: StateView, refs: readonly string[]): Row<Service>[] {
  return resolveAll('service', refs, (ref) => findService(state, ref));
}

export function nodesByRefs(state: StateView, refs: readonly string[]): Row<Node>[] {
  return resolveAll('node', refs, (ref) => findNode(state, ref));
}

export function tasksByRefs(state: StateView, refs: readonly string[]): Row<Task>[] {
  return resolveAll('task', refs, (ref) => findTask(state, ref));
}

/** Logs take both kinds; a service goes before a task of the same prefix. */
export function servicesAndTasksByRefs(
  state: StateView,
  refs: readonly string[],
): { readonly services: readonly Row<Service>[]; readonly tasks: readonly Row<Task>[] } {
  const services = new Map<string, Row<Service>>();
  const tasks = new Map<string, Row<Task>>();
  const unknown: string[] = [];
  for (const ref of refs) {
    const service = ref === '' ? NONE : findService(state, ref);
    if (service.kind === 'many') throw ambiguous('service', ref, service.candidates);
    if (service.kind === 'one') {
      services.set(service.row.id, service.row);
      continue;
    }
    const task = ref === '' ? NONE : findTask(state, ref);
    if (task.kind === 'many') throw ambiguous('task', ref, task.candidates);
    if (task.kind === 'one') tasks.set(task.row.id, task.row);
    else unknown.push(ref);
  }
  if (unknown.length > 0)
    throw new ShoalError('not_found', `no such service or task: ${unknown.map(quote).join(', ')}; see \`shoal service ls\``);
  return { services: [...services.values()], tasks: [...tasks.values()] };
}

function resolveAll<T>(kind: ObjectKind, refs: readonly string[], find: (ref: string) => Found<T>): Row<T>[] {
  const rows = new Map<string, Row<T>>();
  const unknown: string[] = [];
  let firstAmbiguous: ShoalError | undefined;
  for (const ref of refs) {
    const found = ref === '' ? NONE : find(ref);
    if (found.kind === 'one') rows.set(found.row.id, found.row);
    else if (found.kind === 'none') unknown.push(ref);
    else firstAmbiguous ??= ambiguous(kind, ref, found.candidates);
  }
  if (unknown.length > 0) throw notFound(kind, unknown);
  if (firstAmbiguous !== undefined) throw firstAmbiguous;
  return [...rows.values()];
}

function findService(state: StateView, ref: string): Found<Service> {
  const byId = state.get('services', ref) ?? serviceNamed(state, ref);
  if (byId !== undefined) return { kind: 'one', row: byId };
  return byPrefix(state.all('services'), ref, (row) => row.value.name);
}

function serviceNamed(state: StateView, name: string): Row<Service> | undefined {
  const claim = state.get('byName', nameId('service', name));
  return claim && state.get('services', claim.value.objectId);
}

function findNode(state: StateView, ref: string): Found<Node> {
  const byId = state.get('nodes', ref);
  if (byId !== undefined) return { kind: 'one', row: byId };
  const named = [...state.all('nodes')].filter((row) => hostnameOf(state, row.id) === ref);
  if (named.length > 1) return { kind: 'many', candidates: named.map((row) => describe(row.id, ref)) };
  if (named[0] !== undefined) return { kind: 'one', row: named[0] };
  return byPrefix(state.all('nodes'), ref, (row) => hostnameOf(state, row.id));
}

function findTask(state: StateView, ref: string): Found<Task> {
  const byId = state.get('tasks', ref) ?? taskNamed(state, ref);
  if (byId !== undefined) return { kind: 'one', row: byId };
  return byPrefix(state.all('tasks'), ref, (row) => taskName(state, row.value));
}

/** "web.3" and "web.<node id>": the newest of the slot; "web.3.<task id>", as Docker prints it: that one. A service's name may hold dots. */
function taskNamed(state: StateView, ref: string): Row<Task> | undefined {
  const dot = ref.lastIndexOf('.');
  if (dot <= 0) return undefined;
  const byFullName = state.get('tasks', ref.slice(dot + 1));
  if (byFullName !== undefined && taskName(state, byFullName.value) === ref.slice(0, dot)) return byFullName;
  const service = serviceNamed(state, ref.slice(0, dot));
  if (service === undefined) return undefined;
  const slot = ref.slice(dot + 1);
  const inSlot = [...state.tasksOfService(service.id)].filter((row) => slotOf(row.value) === slot);
  return inSlot.reduce<Row<Task> | undefined>((best, row) => (best === undefined || isNewer(row, best) ? row : best), undefined);
}

function isNewer(one: Row<Task>, other: Row<Task>): boolean {
  return one.createRevision > other.createRevision || (one.createRevision === other.createRevision && one.id > other.id);
}

function byPrefix<T>(rows: Iterable<Row<T>>, prefix: string, nameOf: (row: Row<T>) => string): Found<T> {
  const matching: Row<T>[] = [];
  for (const row of rows) {
    if (row.id.startsWith(prefix)) matching.push(row);
  }
  const [first] = matching;
  if (first === undefined) return NONE;
  if (matching.length === 1) return { kind: 'one', row: first };
  return { kind: 'many', candidates: matching.map((row) => describe(row.id, nameOf(row))) };
}

function describe(id: string, name: string): string {
  return name === '' ? id : `${name} (${id})`;
}

function only<T>(rows: readonly Row<T>[]): Row<T> {
  const [row] = rows;
  if (row === undefined) throw new ShoalError('internal', 'one reference resolved to nothing');
  return row;
}

function notFound(kind: ObjectKind, refs: readonly string[]): ShoalError {
  const look = kind === 'task' ? 'shoal service ps SERVICE' : `shoal ${kind} ls`;
  const what = refs.length === 1 ? kind : `${kind}s`;
  return new ShoalError('not_found', `no such ${what}: ${refs.map(quote).join(', ')}; see \`${look}\``);
}

function ambiguous(kind: ObjectKind, ref: string, candidates: readonly string[]): ShoalError {
  const shown = candidates.slice(0, MAX_CANDIDATES).join(', ');
  const more = candidates.length > MAX_CANDIDATES ? ` and ${candidates.length - MAX_CANDIDATES} more` : '';
  return new ShoalError(
    'invalid_argument',
    `${quote(ref)} is ambiguous, it stands for the ${kind}s ${shown}${more}: give more of the id, or the name`,
  );
}

function quote(ref: string): string {
  return `"${ref.slice(0, 100)}"`;
}
