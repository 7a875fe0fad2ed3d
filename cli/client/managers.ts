// Where the managers are: told by a flag or the environment, else written down by `shoal dev` for this folder, else the default port here.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, type FieldProblem, messageOf, ShoalError } from '../../lib/errors.ts';
import type { Shell } from '../shell.ts';

const DEFAULT_MANAGER = '127.0.0.1:7420';
const DEFAULT_PORT = 7420;

/** Written by `shoal dev up` in the folder it runs for; found from there and from every folder below. */
const DEV_CLUSTER_FILE = join('.shoal', 'dev', 'cluster.json');

/** Addresses "host:port", in the order to try them; never empty. Throws `invalid_argument` with every malformed one named. */
export function findManagers(hostFlags: readonly string[], shell: Pick<Shell, 'env' | 'cwd'>): readonly string[] {
  if (hostFlags.length > 0) return parseManagers('--host', hostFlags);
  const { SHOAL_HOST: fromEnvironment } = shell.env;
  if (fromEnvironment !== undefined && fromEnvironment.trim() !== '') return parseManagers('SHOAL_HOST', [fromEnvironment]);
  return readDevCluster(shell.cwd) ?? [DEFAULT_MANAGER];
}

function parseManagers(source: string, texts: readonly string[]): readonly string[] {
  const problems: FieldProblem[] = [];
  const managers: string[] = [];
  for (const text of texts.flatMap((list) => list.split(','))) {
    const address = parseAddress(text.trim());
    if (address === undefined) problems.push({ path: source, message: `"${text}" is not HOST:PORT, such as ${DEFAULT_MANAGER}` });
    else managers.push(address);
  }
  if (problems.length > 0) throw ShoalError.invalid('the manager to talk to', problems);
  return [...new Set(managers)];
}

/** "host:port" (IPv6 in brackets) from HOST or HOST:PORT, with an optional tcp:// before it. */
function parseAddress(text: string): string | undefined {
  const match = /^(?:tcp:\/\/)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const port = match[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  return port >= 1 && port <= 65_535 ? `${match[1] ?? ''}:${String(port)}` : undefined;
}

function readDevCluster(cwd: string): readonly string[] | undefined {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const file = join(folder, DEV_CLUSTER_FILE);
    const text = readIfThere(file);
    if (text !== undefined) return parseDevCluster(file, text);
    if (dirname(folder) === folder) return undefined;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'EACCES') return undefined;
    throw new ShoalError('internal', `cannot read ${file}: ${messageOf(error)}; say where the manager is with --host`, { cause: error });
  }
}

function parseDevCluster(file: string, text: string): readonly string[] {
  const way = `remove it, run \`shoal dev up\` anew, or say where the manager is with --host`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new ShoalError('failed_precondition', `${file} is not JSON: ${way}`, { cause: error });
  }
  const { managers } = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as { readonly managers?: unknown };
  if (!Array.isArray(managers) || managers.length === 0 || !managers.every((manager) => typeof manager === 'string'))
    throw new ShoalError('failed_precondition', `${file} names no managers: ${way}`);
  return parseManagers(file, managers);
}
