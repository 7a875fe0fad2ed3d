// One way to print lists of anything: a resource names its placeholders once, and gets table, JSON and template output from them.
import type { Shell } from '../shell.ts';
import { goTemplate, type Struct, toJson } from './go-template/index.ts';
import { renderTable } from './table.ts';

export interface PrintContext {
  readonly nowUnixMs: number;
  /** Shorten ids, digests and errors. */
  readonly truncate: boolean;
}

export interface ResourceFormat<T> {
  /** Placeholder -> column header; in the order that errors name them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Placeholders of the default table. */
  readonly columns: readonly string[];
  /** What -q prints. */
  readonly id: (item: T, context: PrintContext) => string;
  /** A value for each placeholder. */
  readonly fields: (item: T, context: PrintContext) => Struct;
  /** Changes to the fields that only a table shows, e.g. the branches of a task's history. */
  readonly inTable?: (fields: Struct, item: T, previous: T | undefined) => Struct;
}

export interface ListOptions {
  /** "table", "json", "table TEMPLATE" or a template; unset: table. */
  readonly format?: string | undefined;
  readonly quiet?: boolean | undefined;
  /** False for --no-trunc. */
  readonly trunc?: boolean | undefined;
}

/** The whole output for `items`. Throws `invalid_argument` on a wrong template. */
export function renderList<T>(resource: ResourceFormat<T>, items: readonly T[], options: ListOptions, nowUnixMs: number): string {
  const context: PrintContext = { nowUnixMs, truncate: options.trunc !== false };
  const format = withEscapes(options.format ?? 'table');
  if (options.quiet === true && options.format === undefined) return items.map((item) => `${resource.id(item, context)}\n`).join('');
  if (format === 'json') return items.map((item) => `${toJson(resource.fields(item, context))}\n`).join('');
  if (format === 'table' || format.startsWith('table ')) return tableOf(resource, items, format.slice('table '.length).trim(), context);
  const template = goTemplate(format);
  return items.map((item) => `${template(resource.fields(item, context))}\n`).join('');
}

function tableOf<T>(resource: ResourceFormat<T>, items: readonly T[], columnTemplate: string, context: PrintContext): string {
  const template = columnTemplate === '' ? defaultTemplate(resource) : columnTemplate;
  const render = goTemplate(template);
  const rows = items.map((item, i) => {
    const fields = resource.fields(item, context);
    return render(resource.inTable?.(fields, item, items[i - 1]) ?? fields);
  });
  return renderTable([headersOf(template, resource.headers), ...rows.map((row) => row.split('\t'))]);
}

/** The template filled with headers; "TIER" for a column that lies inside of a placeholder, as {{.Labels.tier}} does. */
function headersOf(template: string, headers: Readonly<Record<string, string>>): readonly string[] {
  const inner = (column: string): string | undefined => {
    const [, outer = '', name] = /\.(\w+)(?:\.(\w+))+/.exec(column) ?? [];
    return Object.hasOwn(headers, outer) ? name?.toUpperCase() : undefined;
  };
  const columns = template.split('\t');
  if (columns.every((column) => inner(column) === undefined)) return goTemplate(template)(headers).split('\t');
  return columns.map((column) => inner(column) ?? goTemplate(column)(headers));
}

function defaultTemplate<T>(resource: ResourceFormat<T>): string {
  return resource.columns.map((column) => `{{.${column}}}`).join('\t');
}

/** A template from a shell's argument has \t and \n as two characters each. */
function withEscapes(format: string): string {
  return format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

export function printList<T>(
  shell: Pick<Shell, 'out' | 'clock'>,
  resource: ResourceFormat<T>,
  items: readonly T[],
  options: ListOptions,
): void {
  shell.out.write(renderList(resource, items, options, shell.clock.wallMs()));
}
