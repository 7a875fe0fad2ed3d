// Flags of KEY=VALUE: labels, environment, log options; and plain lists with add and rm forms.
import { closeSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '../../../lib/errors.ts';
import type { Environment } from '../../shell.ts';
import { splitKeyValue } from './csv.ts';
import type { FlagReader, ListValues } from './flag-reader.ts';

/** The record with --name-rm taken out and --name(-add) put in. */
export function applyLabels(labels: Readonly<Record<string, string>>, name: string, flags: FlagReader): Readonly<Record<string, string>> {
  const gone = new Set(flags.removed(name).values);
  const kept = Object.entries(labels).filter(([key]) => !gone.has(key));
  return { ...Object.fromEntries(kept), ...parseRecord(flags.added(name), flags) };
}

/** A key without "=" has an empty value; one without a key is a problem. */
export function parseRecord({ flag, values }: ListValues, flags: FlagReader): Readonly<Record<string, string>> {
  const pairs = values.flatMap((text): readonly (readonly [string, string])[] => {
    const [key, value = ''] = splitKeyValue(text);
    if (key.trim() !== '') return [[key, value]];
    flags.problem(flag, `"${text}" is not KEY=VALUE`);
    return [];
  });
  return Object.fromEntries(pairs);
}

export interface EnvironmentSource {
  readonly env: Environment;
  readonly cwd: string;
}

/** "KEY=value" lines with --env-rm taken out, then --env-file and --env put in; a later value of a key replaces an earlier one in its place. */
export function applyEnv(lines: readonly string[], flags: FlagReader, source: EnvironmentSource): readonly string[] {
  const gone = new Set(flags.removed('env').values);
  const byKey = new Map(lines.map((line) => [splitKeyValue(line)[0], line] as const).filter(([key]) => !gone.has(key)));
  const files = flags.list('env-file');
  const added = flags.added('env');
  const fresh = [
    ...files.values.flatMap((file) => readEnvFile(file, files.flag, flags, source).map((text) => [files.flag, text] as const)),
    ...added.values.map((text) => [added.flag, text] as const),
  ];
  for (const [flag, text] of fresh) {
    const [key, value] = splitKeyValue(text);
    if (key === '' || /\s/.test(key)) flags.problem(flag, `${quoted(text)} is not KEY=VALUE`);
    // Docker's: a key alone passes the variable on from here, if it is set.
    else if (value !== undefined) byKey.set(key, text);
    else if (source.env[key] !== undefined) byKey.set(key, `${key}=${source.env[key]}`);
  }
  return [...byKey.values()];
}

function readEnvFile(file: string, flag: string, flags: FlagReader, source: EnvironmentSource): readonly string[] {
  try {
    const text = readShortFile(resolve(source.cwd, file)).replace(/^\uFEFF/, '');
    if (text.includes('\0')) throw new Error('it is not a text file');
    return text
      .split(/\r?\n/)
      .map((line) => line.trimStart())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    flags.problem(flag, `cannot read ${file}: ${messageOf(error)}`);
    return [];
  }
}

const MAX_ENV_FILE_BYTES = 1024 * 1024;

/** Also of a pipe, as in `--env-file <(...)`. */
function readShortFile(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(MAX_ENV_FILE_BYTES + 1);
    let length = 0;
    for (;;) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += read;
      if (length > MAX_ENV_FILE_BYTES) throw new Error('it has more than 1 MiB');
      if (read === 0) return buffer.toString('utf8', 0, length);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** What a person can read on one line: no control characters, and not more than there is to recognise it by. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** A list without repeats: --name-rm taken out, --name(-add) appended. `parse` answers with the entry, or undefined after it told a problem. */
export function applyList(
  list: readonly string[],
  name: string,
  flags: FlagReader,
  parse: (text: string, flag: string) => string | undefined = (text) => text,
): readonly string[] {
  const removed = flags.removed(name);
  const gone = new Set(removed.values.map((text) => parse(text, removed.flag) ?? text));
  const added = flags.added(name);
  const fresh = added.values.flatMap((text) => parse(text, added.flag) ?? []);
  return [...new Set([...list.filter((entry) => !gone.has(entry)), ...fresh])];
}
