// Lines of "Name: value" for people; what is empty is left out.

export interface PrettyLine {
  /** Steps to the right, one space each. */
  readonly indent?: number;
  readonly name: string;
  /** Undefined or empty: no line. A heading has no value: use `heading`. */
  readonly value: string | number | undefined;
}

export type PrettyItem = PrettyLine | { readonly heading: string };

const NAME_WIDTH = 16;

/** A heading without lines below it is left out. */
export function renderPretty(items: readonly PrettyItem[]): string {
  const shown = items.filter((item) => 'heading' in item || (item.value !== undefined && item.value !== ''));
  const kept = shown.filter((item, i) => !('heading' in item) || isDetail(shown[i + 1]));
  return kept.map((item) => `${'heading' in item ? `${item.heading}:` : lineOf(item)}\n`).join('');
}

function isDetail(item: PrettyItem | undefined): boolean {
  return item !== undefined && !('heading' in item) && (item.indent ?? 0) > 0;
}

function lineOf({ indent = 0, name, value }: PrettyLine): string {
  return `${' '.repeat(indent)}${`${name}:`.padEnd(NAME_WIDTH - indent)} ${String(value)}`;
}

/** Labels and the like: one detail line each, sorted. */
export function prettyMap(heading: string, record: Readonly<Record<string, string>>): readonly PrettyItem[] {
  const names = Object.keys(record).sort();
  return [{ heading }, ...names.map((name): PrettyItem => ({ indent: 1, name, value: record[name] || '""' }))];
}
