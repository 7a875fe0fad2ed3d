// What `shoal agent` may be told, checked as a whole: every wrong flag is named at once.
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type FieldProblem, ShoalError } from '../lib/errors.ts';
import type { LogLevel } from '../lib/log.ts';
import type { GenericResource } from '../proto/index.ts';
import { genericResourcesOf } from './generic-resources.ts';
import { formatDurationMs, parseDurationMs, parseSizeBytes } from '../lib/units.ts';
import type { HousekeepingSettings } from './housekeeping/settings.ts';

/** As commander gives them. */
export interface AgentFlags {
  readonly manager?: readonly string[];
  readonly dataDir: string;
  readonly dataAddr?: string;
  readonly meshListen?: readonly string[];
  readonly meshPortOffset: string;
  readonly runtime: string;
  readonly dockerHost?: string;
  readonly label?: readonly string[];
  readonly hostname?: string;
  readonly healthAddr: string;
  readonly meshHealthAddr?: string;
  readonly cpus?: string;
  readonly memory?: string;
  readonly genericResource?: readonly string[];
  readonly gcInterval: string;
  readonly gcContainersPerSlot: string;
  readonly gcContainers: string;
  readonly gcImageSize: string;
  readonly gcImageAge: string;
  readonly ephemeral: boolean;
  readonly purge: boolean;
  readonly kill?: boolean;
  readonly logLevel: string;
  readonly logFormat: string;
}

export interface AgentSettings {
  readonly managers: readonly string[];
  readonly dataDir: string;
  readonly dataAddress: string;
  readonly meshListen: readonly string[];
  readonly meshPortOffset: number;
  readonly runtime: 'docker' | 'process';
  readonly dockerHost: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty: the host's own. */
  readonly hostname: string;
  /** Undefined: no health server. */
  readonly health: { readonly host: string; readonly port: number } | undefined;
  /** host:port; undefined: none. */
  readonly meshHealth: string | undefined;
  readonly nanoCpus: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly genericResources: readonly GenericResource[];
  readonly housekeeping: HousekeepingSettings;
  readonly ephemeral: boolean;
  readonly purge: boolean;
  /** With `purge`: tasks get no grace period. */
  readonly kill: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: 'auto' | 'json' | 'short';
}

const LOG_LEVELS: readonly string[] = ['error', 'warn', 'info', 'debug'];
const LOG_FORMATS: readonly string[] = ['auto', 'json', 'short'];
const RUNTIMES: readonly string[] = ['docker', 'process'];
const LABEL_KEY = /^[a-zA-Z0-9](?:[a-zA-Z0-9_./-]{0,126}[a-zA-Z0-9])?$/;
const HOSTNAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?$/;
const MIN_MEMORY_BYTES = 4 * 2 ** 20;
const MAX_OFFSET = 60_000;
/** More often, and the engine is asked for nothing. */
const MIN_GC_INTERVAL_MS = 10_000;
const MAX_GC_CONTAINERS = 100_000;

/**
 * Throws `invalid_argument` with every wrong flag. `foreign`: why the data address that was given is none of this host, where it is none.
 * `strays`: what is wrong with arguments that are no flags of the agent. `isKnown`: its folder names managers.
 */
export function checkAgentFlags(flags: AgentFlags, foreign?: string, strays: readonly FieldProblem[] = [], isKnown = true): AgentSettings {
  const problems: FieldProblem[] = [...strays];
  const wrong = (path: string, message: string): void => {
    problems.push({ path, message });
  };
  const managers = flags.manager ?? [];
  if (managers.length === 0 && !isKnown && !flags.purge) wrong('--manager', 'is needed at first: HOST:PORT of one manager of the cluster');
  for (const manager of managers) {
    if (hostAndPort(manager) === undefined) wrong('--manager', `"${manager}" is not HOST:PORT`);
  }
  const health = flags.healthAddr === 'none' ? undefined : hostAndPort(flags.healthAddr);
  if (flags.healthAddr !== 'none' && health === undefined) wrong('--health-addr', `"${flags.healthAddr}" is neither HOST:PORT nor "none"`);
  const meshHealth = flags.meshHealthAddr === 'none' ? undefined : flags.meshHealthAddr;
  if (meshHealth !== undefined && hostAndPort(meshHealth) === undefined)
    wrong('--mesh-health-addr', `"${meshHealth}" is neither HOST:PORT nor "none"`);
  for (const address of flags.meshListen ?? []) {
    if (isIP(address) === 0) wrong('--mesh-listen', `"${address}" is not an IP address`);
  }
  if (!RUNTIMES.includes(flags.runtime)) wrong('--runtime', `"${flags.runtime}" is not known; one of ${RUNTIMES.join(', ')}`);
  if (flags.dockerHost !== undefined && flags.runtime === 'process') wrong('--docker-host', 'has no meaning with --runtime process');
  if (flags.hostname !== undefined && !HOSTNAME.test(flags.hostname)) wrong('--hostname', `"${flags.hostname}" is not a host name`);
  if (!LOG_LEVELS.includes(flags.logLevel)) wrong('--log-level', `one of ${LOG_LEVELS.join(', ')}`);
  if (!LOG_FORMATS.includes(flags.logFormat)) wrong('--log-format', `one of ${LOG_FORMATS.join(', ')}`);
  const meshPortOffset = Number(flags.meshPortOffset);
  if (!Number.isInteger(meshPortOffset) || meshPortOffset < 0 || meshPortOffset > MAX_OFFSET)
    wrong('--mesh-port-offset', `"${flags.meshPortOffset}" is not a number from 0 to ${MAX_OFFSET}`);
  const settings: AgentSettings = {
    managers,
    dataDir: resolve(flags.dataDir),
    dataAddress: dataAddressOf(flags, foreign, wrong),
    meshListen: [...new Set(flags.meshListen ?? [])],
    meshPortOffset,
    runtime: flags.runtime as AgentSettings['runtime'],
    dockerHost: flags.dockerHost,
    labels: labelsOf(flags.label ?? [], wrong),
    hostname: flags.hostname ?? '',
    health,
    meshHealth,
    nanoCpus: cpusOf(flags.cpus, wrong),
    memoryBytes: memoryOf(flags.memory, wrong),
    genericResources: genericResourcesOf(flags.genericResource ?? [], wrong),
    housekeeping: housekeepingOf(flags, wrong),
    ephemeral: flags.ephemeral,
    purge: flags.purge,
    kill: flags.kill === true,
    logLevel: flags.logLevel as LogLevel,
    logFormat: flags.logFormat as AgentSettings['logFormat'],
  };
  if (problems.length > 0) throw ShoalError.invalid('wrong flags; `shoal agent --help` lists what there is', problems);
  return settings;
}

export type Wrong = (path: string, message: string) => void;

/** Where a manager is on this very host, tasks of other nodes are too; elsewhere nobody but the user knows which address the others reach. */
function dataAddressOf(flags: AgentFlags, foreign: string | undefined, wrong: Wrong): string {
  if (flags.dataAddr !== undefined) {
    if (isIP(flags.dataAddr) === 0) wrong('--data-addr', `"${flags.dataAddr}" is not an IP address`);
    else if (flags.dataAddr === '0.0.0.0' || flags.dataAddr === '::')
      wrong('--data-addr', 'must be one address of this host, which the other nodes reach');
    else if (foreign !== undefined) wrong('--data-addr', foreign);
    return flags.dataAddr;
  }
  if ((flags.manager ?? []).some((manager) => isLoopback(hostAndPort(manager)?.host ?? '')) || flags.purge) return '127.0.0.1';
  wrong(
    '--data-addr',
    'is needed: the address of this host that the other nodes reach (only with a manager on 127.0.0.1 it may be left out)',
  );
  return '';
}

function labelsOf(labels: readonly string[], wrong: Wrong): Readonly<Record<string, string>> {
  const parsed: Record<string, string> = {};
  for (const label of labels) {
    const at = label.indexOf('=');
    const key = at === -1 ? label : label.slice(0, at);
    if (!LABEL_KEY.test(key)) wrong('--label', `"${label}" is not KEY=VALUE with a key of letters, digits and "-", "_", ".", "/"`);
    else parsed[key] = at === -1 ? '' : label.slice(at + 1);
  }
  return parsed;
}

function cpusOf(text: string | undefined, wrong: Wrong): number | undefined {
  if (text === undefined) return undefined;
  const cpus = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(cpus >= 0.001 && cpus <= 10_000)) wrong('--cpus', `"${text}" is not a number of CPUs such as 2 or 0.5`);
  return Math.round(cpus * 1e9);
}

function memoryOf(text: string | undefined, wrong: Wrong): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSizeBytes(text);
  if (bytes === undefined || bytes < MIN_MEMORY_BYTES)
    wrong('--memory', `"${text}" is not a size of at least 4MiB, such as 512MiB or 8GiB`);
  return bytes;
}

function housekeepingOf(flags: AgentFlags, wrong: Wrong): HousekeepingSettings {
  const duration = (flag: string, text: string, leastMs: number): number => {
    const durationMs = text === 'none' ? Infinity : (parseDurationMs(text) ?? Number.NaN);
    if (!(durationMs >= leastMs)) wrong(flag, `"${text}" is neither a duration of at least ${formatDurationMs(leastMs)} nor "none"`);
    return durationMs;
  };
  const count = (flag: string, text: string): number => {
    if (!/^\d{1,6}$/.test(text) || Number(text) > MAX_GC_CONTAINERS)
      wrong(flag, `"${text}" is not a number from 0 to ${MAX_GC_CONTAINERS}`);
    return Number(text);
  };
  const size = (flag: string, text: string): number => {
    const bytes = text === 'none' ? Infinity : parseSizeBytes(text);
    if (bytes === undefined) wrong(flag, `"${text}" is neither a size such as 10GiB nor "none"`);
    return bytes ?? Infinity;
  };
  return {
    intervalMs: duration('--gc-interval', flags.gcInterval, MIN_GC_INTERVAL_MS),
    finished: {
      perSlot: count('--gc-containers-per-slot', flags.gcContainersPerSlot),
      perNode: count('--gc-containers', flags.gcContainers),
    },
    images: { bytes: size('--gc-image-size', flags.gcImageSize), ageMs: duration('--gc-image-age', flags.gcImageAge, 0) },
  };
}

function hostAndPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(\[[0-9a-fA-F:]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) return undefined;
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
