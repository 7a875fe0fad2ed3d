// The user's login for an image's registry, from Docker's own configuration, in the form of Docker's X-Registry-Auth header.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf, ShoalError } from '../../lib/errors.ts';
import type { Shell } from '../shell.ts';
import { askCredentialHelper, type Credentials } from './credential-helper.ts';
import { configKeyOf, registryOf } from './image-reference.ts';

interface AuthEntry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
  readonly identitytoken?: unknown;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, AuthEntry>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/** base64url, padded, of {username, password, serveraddress} (or an identitytoken); empty where there is no login for the image's registry. */
export async function registryAuthFor(image: string, shell: Pick<Shell, 'env' | 'home' | 'clock'>, signal: AbortSignal): Promise<string> {
  const config = readConfig(shell);
  const key = configKeyOf(registryOf(image));
  const helper = config.credHelpers?.[key] ?? config.credHelpers?.[registryOf(image)] ?? config.credsStore;
  const fromHelper = helper === undefined || helper === '' ? undefined : await askCredentialHelper(helper, key, shell.clock, signal);
  const credentials = fromHelper ?? fromFile(config, key);
  if (credentials === undefined) return '';
  const { username, password, identityToken } = credentials;
  const auth = identityToken === '' ? { username, password, serveraddress: key } : { identitytoken: identityToken, serveraddress: key };
  // Engines decode it strictly, and take one without its padding for no login at all.
  return Buffer.from(JSON.stringify(auth)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

function readConfig(shell: Pick<Shell, 'env' | 'home'>): DockerConfig {
  const { DOCKER_CONFIG: folder = join(shell.home, '.docker') } = shell.env;
  const file = join(folder, 'config.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as DockerConfig;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    throw new ShoalError('failed_precondition', `cannot read Docker's configuration ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function fromFile(config: DockerConfig, key: string): Credentials | undefined {
  const wanted = bareHost(key);
  const entry = config.auths?.[key] ?? Object.entries(config.auths ?? {}).find(([name]) => bareHost(name) === wanted)?.[1];
  if (entry === undefined) return undefined;
  const identityToken = textOf(entry.identitytoken);
  const decoded = Buffer.from(textOf(entry.auth), 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  const username = colon > 0 ? decoded.slice(0, colon) : textOf(entry.username);
  const password = colon > 0 ? decoded.slice(colon + 1).replace(/\0+$/, '') : textOf(entry.password);
  return username === '' && identityToken === '' ? undefined : { username, password, identityToken };
}

/** Docker accepts "https://host/v1/" and "host" for the same registry. */
function bareHost(name: string): string {
  return name.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
