// The flags that say how a container is run.
import { isIP } from 'node:net';
import { ContainerSpec, DnsConfig, type Ulimit } from '../../../proto/index.ts';
import { splitKeyValue } from './csv.ts';
import type { FlagReader, ListValues } from './flag-reader.ts';
import { applyHealth } from './health.ts';
import { applyEnv, applyLabels, applyList, type EnvironmentSource } from './key-values.ts';
import { applyMounts } from './mounts.ts';
import { shellWords } from './shell-words.ts';

export function applyContainer(before: ContainerSpec, flags: FlagReader, source: EnvironmentSource): ContainerSpec {
  const image = flags.text('image') ?? before.image;
  if (image.trim() === '' || /\s/.test(image))
    flags.problem(flags.purpose === 'create' ? 'IMAGE' : '--image', `"${image}" is not an image`);
  const { capAdd, capDrop } = applyCapabilities(before, flags);
  return {
    ...before,
    image,
    // Naming the image, even the same one, asks for what its tag means now.
    resolvedImage: flags.text('image') === undefined ? before.resolvedImage : '',
    command: words('entrypoint', flags) ?? before.command,
    args: flags.purpose === 'update' ? (words('args', flags) ?? before.args) : before.args,
    env: applyEnv(before.env, flags, source),
    dir: flags.text('workdir') ?? before.dir,
    user: flags.text('user') ?? before.user,
    groups: applyList(before.groups, 'group', flags),
    hostname: flags.text('hostname') ?? before.hostname,
    labels: applyLabels(before.labels, 'container-label', flags),
    mounts: applyMounts(before.mounts, flags),
    stopSignal: flags.text('stop-signal') ?? before.stopSignal,
    stopGracePeriodMs: flags.durationMs('stop-grace-period') ?? before.stopGracePeriodMs,
    healthCheck: applyHealth(before.healthCheck, flags),
    hosts: applyHosts(before.hosts, flags),
    dns: applyDns(before.dns, flags),
    capAdd,
    capDrop,
    readOnly: flags.toggle('read-only') ?? before.readOnly,
    init: flags.toggle('init') ?? before.init,
    ulimits: applyUlimits(before.ulimits, flags),
    tty: flags.toggle('tty') ?? before.tty,
  };
}

function words(name: string, flags: FlagReader): readonly string[] | undefined {
  const text = flags.text(name);
  if (text === undefined) return undefined;
  const split = shellWords(text);
  if (split === undefined) flags.problem(`--${name}`, `a quote in ${text} is not closed`);
  return split;
}

/** HOST:IP on the command line, "IP HOST" in the spec; --host-rm takes HOST or HOST:IP. */
function applyHosts(before: readonly string[], flags: FlagReader): readonly string[] {
  const gone = flags.removed('host').values.map((text) => {
    const { host, ip } = splitHost(text);
    return { host, ip: ip === '' ? undefined : ip };
  });
  const kept = before.filter((line) => {
    const [ip, ...names] = line.split(/\s+/);
    return !gone.some((removal) => names.includes(removal.host) && (removal.ip === undefined || removal.ip === ip));
  });
  const { flag, values } = flags.added('host');
  const fresh = values.flatMap((text) => {
    const { host, ip } = splitHost(text);
    if (host !== '' && isIP(ip) !== 0) return [`${ip} ${host}`];
    flags.problem(flag, `"${text}" is not HOST:IP, such as db:10.0.0.5`);
    return [];
  });
  return [...new Set([...kept, ...fresh])];
}

function splitHost(text: string): { readonly host: string; readonly ip: string } {
  const [host = '', ip = ''] = text.split(/[:=](.*)/s);
  return { host, ip: ip.replace(/^\[(.*)\]$/, '$1') };
}

function applyDns(before: DnsConfig | undefined, flags: FlagReader): DnsConfig | undefined {
  const base = before ?? DnsConfig.create();
  const nameservers = applyList(base.nameservers, 'dns', flags, (text, flag) => {
    if (isIP(text) !== 0) return text;
    flags.problem(flag, `"${text}" is not an IP address`);
    return undefined;
  });
  const search = applyList(base.search, 'dns-search', flags);
  const options = applyList(base.options, 'dns-option', flags);
  return nameservers.length + search.length + options.length === 0 ? undefined : { nameservers, search, options };
}

/** As Docker's: adding one that was dropped undoes that, and the other way round; RESET forgets all. */
function applyCapabilities(
  before: ContainerSpec,
  flags: FlagReader,
): { readonly capAdd: readonly string[]; readonly capDrop: readonly string[] } {
  const added = flags.list('cap-add').values.map(capability);
  const dropped = flags.list('cap-drop').values.map(capability);
  const isReset = (name: string): boolean => name === 'RESET';
  const baseAdd = added.some(isReset) ? [] : before.capAdd;
  const baseDrop = dropped.some(isReset) ? [] : before.capDrop;
  for (const name of added) if (dropped.includes(name) && !isReset(name)) flags.problem('--cap-add', `${name} is added and dropped`);
  const capAdd = new Set([...baseAdd.filter((name) => !dropped.includes(name)), ...added.filter((name) => !isReset(name))]);
  const capDrop = new Set([...baseDrop.filter((name) => !added.includes(name)), ...dropped.filter((name) => !isReset(name))]);
  return { capAdd: [...capAdd].sort(), capDrop: [...capDrop].sort() };
}

function capability(text: string): string {
  const name = text.trim().toUpperCase();
  return name === 'ALL' || name === 'RESET' || name.startsWith('CAP_') ? name : `CAP_${name}`;
}

function applyUlimits(before: readonly Ulimit[], flags: FlagReader): readonly Ulimit[] {
  const fresh = parseUlimits(flags.added('ulimit'), flags);
  const gone = new Set([...flags.removed('ulimit').values, ...fresh.map(({ name }) => name)]);
  return [...before.filter(({ name }) => !gone.has(name)), ...fresh];
}

/** NAME=SOFT[:HARD]; -1 is unlimited. */
function parseUlimits({ flag, values }: ListValues, flags: FlagReader): readonly Ulimit[] {
  return values.flatMap((text) => {
    const [name, limits = ''] = splitKeyValue(text);
    const match = /^(-1|\d+)(?::(-1|\d+))?$/.exec(limits);
    if (match === null || !/^[a-z]+$/.test(name)) {
      flags.problem(flag, `"${text}" is not NAME=SOFT or NAME=SOFT:HARD, such as nofile=1024:4096`);
      return [];
    }
    const soft = Number(match[1]);
    const hard = Number(match[2] ?? match[1]);
    if (hard === -1 || (soft !== -1 && soft <= hard)) return [{ name, soft, hard }];
    flags.problem(flag, `"${text}": the soft limit is above the hard one`);
    return [];
  });
}

export const EMPTY_CONTAINER: ContainerSpec = ContainerSpec.create();
