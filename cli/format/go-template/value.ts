// What templates work on: JSON-like values, where a plain object is a struct (its fields are known) and a Map is a map (its keys are anybody's).

export type Value = string | number | boolean | null | undefined | readonly Value[] | Struct | ReadonlyMap<string, Value>;

/** A field whose value is undefined is known, but not there: nil in a template, left out of JSON. */
export interface Struct {
  readonly [field: string]: Value;
}

export function isStruct(value: Value): value is Struct {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMap(value: Value): value is ReadonlyMap<string, Value> {
  return value instanceof Map;
}

/** Go's notion: false, 0, nil and everything empty are false. A struct is true. */
export function isTrue(value: Value): boolean {
  if (isMap(value)) return value.size > 0;
  if (isList(value)) return value.length > 0;
  return Boolean(value);
}

/** As Go's %v prints it. */
export function show(value: Value): string {
  if (value === undefined || value === null) return '<no value>';
  if (isList(value)) return `[${value.map(show).join(' ')}]`;
  if (isMap(value))
    return `map[${sortedEntries(value)
      .map(([key, item]) => `${key}:${show(item)}`)
      .join(' ')}]`;
  if (isStruct(value)) return `{${Object.values(value).map(show).join(' ')}}`;
  return String(value);
}

/** Maps come out as objects with sorted keys; fields that are not there are left out. */
export function toJson(value: Value, indent?: number): string {
  return JSON.stringify(
    value ?? null,
    (_key, item: unknown) => (item instanceof Map ? Object.fromEntries(sortedEntries(item as ReadonlyMap<string, Value>)) : item),
    indent,
  );
}

export function sortedEntries(map: ReadonlyMap<string, Value>): readonly (readonly [string, Value])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** A map from a record, such as labels. */
export function mapOf(record: Readonly<Record<string, Value>>): ReadonlyMap<string, Value> {
  return new Map(Object.entries(record));
}
