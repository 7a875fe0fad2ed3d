// What `shoal manager` may be told, checked as a whole: every wrong flag is named at once.
import { join } from 'node:path';
import { type FieldProblem, ShoalError } from '../lib/errors.ts';
import type { LogLevel } from '../lib/log.ts';

/** As commander gives them. */
export interface ManagerFlags {
  readonly etcd?: readonly string[];
  readonly etcdPrefix: string;
  readonly dataDir: string;
  readonly listen: string;
  readonly advertiseAddr?: string;
  readonly insecure: boolean;
  readonly insecureRegistry?: readonly string[];
  readonly healthAddr: string;
  readonly logLevel: string;
  readonly logFormat: string;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ManagerOptions {
  /** Empty: the embedded store, below dataDir. */
  readonly etcdEndpoints: readonly string[];
  readonly etcdPrefix: string;
  readonly dataDir: string;
  readonly storeDir: string;
  readonly listen: Address;
  /** host:port that other managers and agents are told; undefined: where it listens. */
  readonly advertise: string | undefined;
  readonly insecureRegistries: readonly string[];
  /** Undefined: no health server. */
  readonly health: Address | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: 'auto' | 'json' | 'short';
}

/** All addresses: nobody can dial these. */
const WILDCARDS: readonly string[] = ['0.0.0.0', '::'];
const LOG_LEVELS: readonly string[] = ['error', 'warn', 'info', 'debug'];
const LOG_FORMATS: readonly string[] = ['auto', 'json', 'short'];

/** Throws `invalid_argument` with every wrong flag, `permission_denied` for an open port without certificates or --insecure. `strays`: arguments that are no flags of the manager. */
export function checkManagerFlags(flags: ManagerFlags, strays: readonly FieldProblem[] = []): ManagerOptions {
  const problems: FieldProblem[] = [...strays];
  const listen = addressOf('--listen', flags.listen, problems);
  const health = flags.healthAddr === 'none' ? undefined : addressOf('--health-addr', flags.healthAddr, problems);
  if (flags.advertiseAddr !== undefined) addressOf('--advertise-addr', flags.advertiseAddr, problems);
  else if (WILDCARDS.includes(listen.host)) {
    const message = `needed with --listen ${flags.listen}: the address under which agents and other managers reach this one, such as 10.0.0.1:${listen.port}`;
    problems.push({ path: '--advertise-addr', message });
  }
  for (const endpoint of flags.etcd ?? []) {
    if (!/^https?:\/\/[^\s/]+$/.test(endpoint))
      problems.push({ path: '--etcd', message: `"${endpoint}" is not a URL such as http://10.0.0.1:2379` });
  }
  if (!/^\/.*\/$/.test(flags.etcdPrefix))
    problems.push({ path: '--etcd-prefix', message: 'begins and ends with a slash, such as /shoal/' });
  if (!LOG_LEVELS.includes(flags.logLevel)) problems.push({ path: '--log-level', message: `one of ${LOG_LEVELS.join(', ')}` });
  if (!LOG_FORMATS.includes(flags.logFormat)) problems.push({ path: '--log-format', message: `one of ${LOG_FORMATS.join(', ')}` });
  const isOpen = listen.host !== '' && !isLoopback(listen.host) && !flags.insecure;
  if (problems.length > 0) {
    if (isOpen) problems.push({ path: '--insecure', message: `is needed too: ${openPort(flags.listen)}` });
    throw ShoalError.invalid('wrong flags; `shoal manager --help` lists what there is', problems);
  }
  if (isOpen) throw new ShoalError('permission_denied', openPort(flags.listen));
  return {
    etcdEndpoints: flags.etcd ?? [],
    etcdPrefix: flags.etcdPrefix,
    dataDir: flags.dataDir,
    storeDir: join(flags.dataDir, 'store'),
    listen,
    advertise: flags.advertiseAddr,
    insecureRegistries: flags.insecureRegistry ?? [],
    health,
    logLevel: flags.logLevel as LogLevel,
    logFormat: flags.logFormat as ManagerOptions['logFormat'],
  };
}

function openPort(listen: string): string {
  return (
    `--listen ${listen} can be reached from other hosts, and connections are not authenticated yet: anybody who reaches it could run anything. ` +
    'Listen on 127.0.0.1, or add --insecure on a network that you trust.'
  );
}

function addressOf(flag: string, text: string, problems: FieldProblem[]): Address {
  const match = /^(\[[0-9a-fA-F:]+\]|[^\s:]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    problems.push({ path: flag, message: `"${text}" is not HOST:PORT` });
    return { host: '', port: 0 };
  }
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

export function authority({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
