// The container of a task: everything that an engine would otherwise refuse later, on some node, one field at a time.
import { isIP } from 'node:net';
import { constants } from 'node:os';
import type { ContainerSpec, DnsConfig, HealthCheck, Ulimit } from '../../../proto/index.ts';
import { parseImageReference } from '../registry/image-reference.ts';
import { capabilityProblem } from './capabilities.ts';
import { checkCommand, checkEnv, checkWord } from './environment.ts';
import { checkMounts } from './mounts.ts';
import { checkCount, checkDuration, checkListLength, checkMap, checkText, type Report } from './report.ts';
import type { TemplateCheck } from './templates.ts';

const PATH = 'task.container';
const MAX_ENTRIES = 200;
const HOST_NAME = /^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?$/;
const REALTIME_SIGNAL = /^RTM(?:IN|AX)(?:[+-]\d{1,2})?$/;
/** What Docker's engine knows (docker/go-units). */
const ULIMITS = 'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' ');

export function checkContainer(container: ContainerSpec, report: Report, checkTemplate: TemplateCheck): void {
  const image = parseImageReference(container.image);
  if (!image.ok) report(`${PATH}.image`, image.reason);
  checkCommand(container, report);
  checkEnv(`${PATH}.env`, container.env, report, checkTemplate);
  checkText(`${PATH}.dir`, container.dir, 4096, report);
  if (container.dir !== '' && !container.dir.startsWith('/')) report(`${PATH}.dir`, `"${container.dir}" must be an absolute path`);
  checkText(`${PATH}.user`, container.user, 256, report);
  checkEach(`${PATH}.groups`, container.groups, report, (group) =>
    /^[\w.-]{1,256}$/.test(group) ? undefined : 'is not a group of up to 256 letters, digits, _, . and -',
  );
  checkHostname(container.hostname, report, checkTemplate);
  checkMap(`${PATH}.labels`, container.labels, report);
  checkMounts(container.mounts, report, checkTemplate);
  checkStopSignal(container.stopSignal, report);
  checkDuration(`${PATH}.stopGracePeriodMs`, container.stopGracePeriodMs, report);
  if (container.healthCheck !== undefined) checkHealth(container.healthCheck, report);
  checkEach(`${PATH}.hosts`, container.hosts, report, hostProblem);
  if (container.dns !== undefined) checkDns(container.dns, report);
  for (const field of ['capAdd', 'capDrop'] as const) {
    checkEach(`${PATH}.${field}`, container[field], report, capabilityProblem);
  }
  checkUlimits(container.ulimits, report);
  checkText(`${PATH}.registryAuth`, container.registryAuth, 64 * 1024, report);
}

/** Reports each entry for which `problemOf` has something to say. */
function checkEach(path: string, entries: readonly string[], report: Report, problemOf: (entry: string) => string | undefined): void {
  checkListLength(path, entries, MAX_ENTRIES, report);
  entries.slice(0, MAX_ENTRIES).forEach((entry, index) => {
    const problem = problemOf(entry);
    if (problem !== undefined) report(`${path}[${index}]`, `"${entry.slice(0, 80)}" ${problem}`);
  });
}

function checkHostname(hostname: string, report: Report, checkTemplate: TemplateCheck): void {
  const path = `${PATH}.hostname`;
  checkTemplate(path, hostname);
  if (hostname === '' || hostname.includes('{{')) return;
  if (hostname.length > 63 || !HOST_NAME.test(hostname))
    report(path, `"${hostname.slice(0, 80)}" is not a host name of up to 63 letters, digits, - and .`);
}

function checkStopSignal(signal: string, report: Report): void {
  if (signal === '') return;
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const known = /^\d+$/.test(name)
    ? Number(name) >= 1 && Number(name) <= 64
    : REALTIME_SIGNAL.test(name) || `SIG${name}` in constants.signals;
  if (!known) report(`${PATH}.stopSignal`, `"${signal.slice(0, 80)}" is not a signal such as SIGTERM or 15`);
}

function checkHealth(health: HealthCheck, report: Report): void {
  const path = `${PATH}.healthCheck`;
  const [kind, ...rest] = health.test;
  if (kind !== undefined && kind !== 'NONE' && kind !== 'CMD' && kind !== 'CMD-SHELL') {
    report(`${path}.test`, `must begin with NONE, CMD or CMD-SHELL, not with "${kind.slice(0, 80)}"`);
  } else if (kind === 'NONE' && rest.length > 0) report(`${path}.test`, 'nothing follows NONE');
  else if (kind === 'CMD' && rest.length === 0) report(`${path}.test`, 'CMD needs a program');
  else if (kind === 'CMD-SHELL' && rest.length !== 1) report(`${path}.test`, 'CMD-SHELL needs exactly one line');
  rest.forEach((word, index) => {
    checkWord(`${path}.test[${index + 1}]`, word, report);
  });
  for (const field of ['intervalMs', 'timeoutMs', 'startPeriodMs'] as const) checkDuration(`${path}.${field}`, health[field], report);
  checkCount(`${path}.retries`, health.retries, 1000, report);
}

function hostProblem(line: string): string | undefined {
  const [address = '', ...names] = line.trim().split(/\s+/);
  if (isIP(address) === 0 && address !== 'host-gateway') return 'does not begin with an IP address: "IP name [name...]"';
  if (names.length === 0) return 'names no host: "IP name [name...]"';
  return names.every((name) => name.length <= 253 && HOST_NAME.test(name)) ? undefined : 'has something that is not a host name';
}

function checkDns(dns: DnsConfig, report: Report): void {
  checkEach(`${PATH}.dns.nameservers`, dns.nameservers, report, (entry) => (isIP(entry) === 0 ? 'is not an IP address' : undefined));
  checkEach(`${PATH}.dns.search`, dns.search, report, (entry) =>
    entry === '.' || (entry.length <= 253 && HOST_NAME.test(entry)) ? undefined : 'is not a domain',
  );
  checkEach(`${PATH}.dns.options`, dns.options, report, (entry) =>
    /^[\u0021-\u007e]{1,100}$/.test(entry) ? undefined : 'is not an option of resolv.conf',
  );
}

function checkUlimits(ulimits: readonly Ulimit[], report: Report): void {
  const seen = new Set<string>();
  checkListLength(`${PATH}.ulimits`, ulimits, ULIMITS.length, report);
  ulimits.slice(0, MAX_ENTRIES).forEach(({ name, soft, hard }, index) => {
    const path = `${PATH}.ulimits[${index}]`;
    if (!ULIMITS.includes(name)) report(`${path}.name`, `"${name.slice(0, 80)}" is not one of ${ULIMITS.join(', ')}`);
    else if (seen.has(name)) report(`${path}.name`, `"${name}" is given twice`);
    seen.add(name);
    for (const [field, limit] of [
      ['soft', soft],
      ['hard', hard],
    ] as const)
      if (!Number.isSafeInteger(limit) || limit < -1)
        report(`${path}.${field}`, `${limit} is not a whole number, 0 or more, or -1 for unlimited`);
    if (hard >= 0 && (soft > hard || soft === -1)) report(`${path}.soft`, `${soft} is above the hard limit of ${hard}`);
  });
}
