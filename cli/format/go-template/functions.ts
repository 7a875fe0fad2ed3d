// The functions that templates may call: Go's own and the ones that Docker adds.
import { formatPrintf } from './printf.ts';
import { templateError } from './tokens.ts';
import { isList, isMap, isStruct, isTrue, show, toJson, type Value } from './value.ts';

type TemplateFunction = (...values: readonly Value[]) => Value;

export const TEMPLATE_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  // `and` and `or` answer with the value that decided.
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  not: (value) => !isTrue(value),
  eq: (first, ...others) => others.some((other) => same(first, other)),
  ne: (a, b) => !same(a, b),
  lt: (a, b) => compare('lt', a, b) < 0,
  le: (a, b) => compare('le', a, b) <= 0,
  gt: (a, b) => compare('gt', a, b) > 0,
  ge: (a, b) => compare('ge', a, b) >= 0,
  len: length,
  index: (value, ...keys) => keys.reduce(item, value),
  slice: (value, from, to) => {
    if (typeof value !== 'string' && !isList(value)) throw templateError('slice takes a string or a list');
    return value.slice(wholeNumber(from ?? 0), to === undefined ? undefined : wholeNumber(to));
  },
  print: (...values) => values.map(show).join(''),
  println: (...values) => `${values.map(show).join(' ')}\n`,
  printf: (format, ...values) => formatPrintf(text('printf', format), values),
  json: (value) => toJson(value),
  lower: (value) => text('lower', value).toLowerCase(),
  upper: (value) => text('upper', value).toUpperCase(),
  title: (value) => text('title', value).replaceAll(/(^|\s)(\p{L})/gu, (letter) => letter.toUpperCase()),
  split: (value, separator) => text('split', value).split(text('split', separator)),
  join: (values, separator) => {
    if (!isList(values)) throw templateError('join takes a list and a separator');
    return values.map(show).join(text('join', separator));
  },
  pad: (value, before, after) => {
    const padded = text('pad', value);
    return padded === '' ? '' : ' '.repeat(wholeNumber(before)) + padded + ' '.repeat(wholeNumber(after));
  },
  truncate: (value, size) => text('truncate', value).slice(0, wholeNumber(size)),
};

function same(a: Value, b: Value): boolean {
  return a === b || ((a ?? null) === null && (b ?? null) === null);
}

function compare(name: string, a: Value, b: Value): number {
  if ((typeof a !== 'number' || typeof b !== 'number') && (typeof a !== 'string' || typeof b !== 'string'))
    throw templateError(`${name} takes two numbers or two strings`);
  return a < b ? -1 : a > b ? 1 : 0;
}

function length(value: Value): number {
  if (typeof value === 'string' || isList(value)) return value.length;
  if (isMap(value)) return value.size;
  throw templateError('len takes a string, a list or a map');
}

function item(value: Value, key: Value): Value {
  if (isMap(value)) return value.get(text('index', key)) ?? '';
  if (isStruct(value)) return value[text('index', key)];
  if (!isList(value)) throw templateError('index takes a list or a map');
  const at = wholeNumber(key);
  if (at >= value.length) throw templateError(`index ${String(at)} is beyond a list of ${String(value.length)}`);
  return value[at];
}

function text(name: string, value: Value): string {
  if (typeof value !== 'string') throw templateError(`${name} takes a string, not ${show(value)}`);
  return value;
}

function wholeNumber(value: Value): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw templateError(`${show(value)} is not a whole number`);
  return value;
}
