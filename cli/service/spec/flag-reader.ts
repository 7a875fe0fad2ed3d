// Reads the values of flags and collects what is wrong with them, so that all of it is said at once.
import { type FieldProblem, ShoalError } from '../../../lib/errors.ts';
import { parseDurationMs, parseSizeBytes } from '../../../lib/units.ts';

/** As commander gives them: "--env-add" is `envAdd`. */
export type FlagValues = Readonly<Record<string, unknown>>;

export interface ListValues {
  /** "--env" or "--env-add", for messages. */
  readonly flag: string;
  readonly values: readonly string[];
}

export interface FlagReader {
  readonly purpose: 'create' | 'update';
  problem(flag: string, message: string): void;
  /** Undefined: not given. The same for all below; a wrong value is a problem, and undefined. */
  text(name: string): string | undefined;
  toggle(name: string): boolean | undefined;
  /** Values of --name, or of --name-add for an update. */
  added(name: string): ListValues;
  /** Values of --name-rm. */
  removed(name: string): ListValues;
  /** Values of a list flag that has no add and rm forms. */
  list(name: string): ListValues;
  count(name: string, limits?: { readonly min?: number; readonly max?: number }): number | undefined;
  durationMs(name: string): number | undefined;
  sizeBytes(name: string, minBytes: number): number | undefined;
  nanoCpus(name: string): number | undefined;
  ratio(name: string): number | undefined;
  choice<T>(name: string, choices: Readonly<Record<string, T>>, later?: Readonly<Record<string, string>>): T | undefined;
  /** All so far. */
  readonly problems: readonly FieldProblem[];
  /** Throws `invalid_argument` with all problems, if there are any. */
  check(what: string): void;
}

const MAX_UINT32 = 2 ** 32 - 1;
/** No host has them: a slip of the finger, such as memory in the place of CPUs. */
const MAX_CPUS = 100_000;
const MAX_SIZE_BYTES = 1024 ** 5;

export function flagReader(values: FlagValues, purpose: 'create' | 'update'): FlagReader {
  const problems: FieldProblem[] = [];
  const problem = (flag: string, message: string): void => {
    problems.push({ path: flag, message });
  };
  const text = (name: string): string | undefined => {
    const value = values[camelCase(name)];
    return typeof value === 'string' ? value : undefined;
  };
  const list = (name: string): ListValues => {
    const value = values[camelCase(name)];
    return { flag: `--${name}`, values: Array.isArray(value) ? (value as readonly string[]) : [] };
  };
  const parsed = <T>(name: string, parse: (text: string) => T | string): Exclude<T, string> | undefined => {
    const given = text(name);
    if (given === undefined) return undefined;
    const result = parse(given);
    if (typeof result !== 'string') return result as Exclude<T, string>;
    problem(`--${name}`, result);
    return undefined;
  };
  return {
    purpose,
    problems,
    problem,
    text,
    toggle: (name) => {
      const value = values[camelCase(name)];
      return typeof value === 'boolean' ? value : undefined;
    },
    list,
    added: (name) => list(purpose === 'create' ? name : `${name}-add`),
    removed: (name) => list(`${name}-rm`),
    count: (name, { min = 0, max = MAX_UINT32 } = {}) => parsed(name, (given) => parseCount(given, min, max)),
    durationMs: (name) => parsed(name, parseDuration),
    sizeBytes: (name, minBytes) => parsed(name, (given) => parseSize(given, minBytes)),
    nanoCpus: (name) => parsed(name, parseCpus),
    ratio: (name) => parsed(name, parseRatio),
    choice: (name, choices, later = {}) => {
      const given = text(name);
      if (given === undefined) return undefined;
      if (Object.hasOwn(choices, given)) return choices[given];
      problem(`--${name}`, later[given] ?? `"${given}" is not one of ${Object.keys(choices).join(', ')}`);
      return undefined;
    },
    check(what) {
      if (problems.length > 0) throw ShoalError.invalid(what, problems);
    },
  };
}

export function camelCase(name: string): string {
  return name.replaceAll(/-(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

function parseCount(text: string, min: number, max: number): number | string {
  if (!/^\d+$/.test(text)) return `"${text}" is not a whole number of at least ${String(min)}`;
  const count = Number(text);
  return count >= min && count <= max ? count : `${text} is not between ${String(min)} and ${String(max)}`;
}

function parseDuration(text: string): number | string {
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined) return `"${text}" is not a duration such as 500ms, 10s or 1m30s`;
  return durationMs <= MAX_UINT32 ? Math.round(durationMs) : `${text} is longer than 49 days`;
}

function parseSize(text: string, minBytes: number): number | string {
  const sizeBytes = parseSizeBytes(text);
  if (sizeBytes === undefined) return `"${text}" is not a size such as 64m or 1.5g`;
  if (sizeBytes !== 0 && sizeBytes < minBytes) return `${text} is less than the least possible, ${String(minBytes / 1024 ** 2)}m`;
  return sizeBytes <= MAX_SIZE_BYTES ? sizeBytes : `${text} is more than any host has`;
}

function parseCpus(text: string): number | string {
  if (!/^\d*\.?\d+$/.test(text)) return `"${text}" is not a number of CPUs such as 0.5 or 2`;
  const cpus = Number(text);
  if (cpus !== 0 && cpus < 0.001) return `${text} is less than the least possible, 0.001`;
  return cpus <= MAX_CPUS ? Math.round(cpus * 1e9) : `${text} is more than any host has`;
}

function parseRatio(text: string): number | string {
  const ratio = /^\d*\.?\d+$/.test(text) ? Number(text) : NaN;
  return ratio >= 0 && ratio <= 1 ? ratio : `"${text}" is not between 0 and 1`;
}
