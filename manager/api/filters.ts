// Filters of lists: ANDed over keys, ORed over the values of one key. Keys and values that are not known are refused, not passed over.
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import type { Filter } from '../../proto/index.ts';

export interface FilterKey<T> {
  readonly matches: (item: T, value: string) => boolean;
  /** The values that there are; undefined: any. */
  readonly values?: readonly string[];
}

export type FilterKeys<T> = Readonly<Record<string, FilterKey<T>>>;

const MAX_VALUES = 1000;

/** Throws one `invalid_argument` with everything that is wrong. */
export function compileFilters<T>(filters: readonly Filter[], keys: FilterKeys<T>): (item: T) => boolean {
  const problems: FieldProblem[] = [];
  const compiled = new Map<string, { readonly key: FilterKey<T>; readonly values: Set<string> }>();
  filters.forEach((filter, index) => {
    const key = Object.hasOwn(keys, filter.key) ? keys[filter.key] : undefined;
    if (key === undefined) {
      const known = Object.keys(keys).join(', ');
      problems.push({ path: `filters[${index}].key`, message: `"${filter.key.slice(0, 80)}" is not a filter here; known are ${known}` });
      return;
    }
    const values = compiled.get(filter.key)?.values ?? new Set();
    for (const value of filter.values) {
      if (key.values !== undefined && !key.values.includes(value)) {
        const message = `"${value.slice(0, 80)}" is not a value of ${filter.key}; known are ${key.values.join(', ')}`;
        problems.push({ path: `filters[${index}].values`, message });
      }
      values.add(value);
    }
    if (values.size > MAX_VALUES) problems.push({ path: `filters[${index}].values`, message: `more than ${MAX_VALUES} values` });
    compiled.set(filter.key, { key, values });
  });
  if (problems.length > 0) throw ShoalError.invalid('the filters are not valid', problems);
  const tests = [...compiled.values()].filter(({ values }) => values.size > 0).map(({ key, values }) => ({ key, values: [...values] }));
  return (item) => tests.every(({ key, values }) => values.some((value) => key.matches(item, value)));
}

/** "key" or "key=value", against labels. */
export function matchesLabel(labels: Readonly<Record<string, string>>, filter: string): boolean {
  const equals = filter.indexOf('=');
  const key = equals === -1 ? filter : filter.slice(0, equals);
  if (!Object.hasOwn(labels, key)) return false;
  return equals === -1 || labels[key] === filter.slice(equals + 1);
}
