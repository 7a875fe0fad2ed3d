// Probes: exactly one check each, with ports, paths and headers that can be sent, and times within which they can pass.
import type { ExecCheck, GrpcCheck, HttpCheck, Probe, Probes } from '../../../proto/index.ts';
import { checkCount, checkDuration, checkListLength, checkText, type Report } from './report.ts';

const MAX_PORT = 65_535;
const MAX_COUNT = 10_000;
/** A probe that is asked more often than this loads its task more than it tells. */
const MIN_INTERVAL_MS = 100;
const MAX_HEADERS = 50;
const MAX_WORDS = 200;
const MAX_EXEC_LENGTH = 16 * 1024;
/** As Node.js sends them: RFC 9110's token, and text without control characters. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;
/** Set by the agent, or by the protocol itself. */
const OWN_HEADERS = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect', 'te', 'trailer']);

export function checkProbes(probes: Probes, report: Report): void {
  for (const kind of ['readiness', 'liveness', 'startup'] as const) {
    const probe = probes[kind];
    if (probe === undefined) continue;
    const path = `task.probes.${kind}`;
    checkCheck(path, probe, report);
    checkDuration(`${path}.intervalMs`, probe.intervalMs, report);
    if (probe.intervalMs > 0 && probe.intervalMs < MIN_INTERVAL_MS)
      report(`${path}.intervalMs`, `${probe.intervalMs} ms is too short; at least ${MIN_INTERVAL_MS} ms are taken`);
    checkDuration(`${path}.timeoutMs`, probe.timeoutMs, report);
    checkDuration(`${path}.initialDelayMs`, probe.initialDelayMs, report);
    checkCount(`${path}.failures`, probe.failures, MAX_COUNT, report);
    checkCount(`${path}.successes`, probe.successes, MAX_COUNT, report);
    if (kind !== 'readiness' && probe.successes > 1)
      report(`${path}.successes`, `${probe.successes} is more than 1, and only readiness can pass again after it has failed`);
  }
}

function checkCheck(path: string, { check }: Probe, report: Report): void {
  switch (check?.case) {
    case undefined:
      report(path, 'says nothing to check: one of tcp, http, grpc and exec is needed');
      return;
    case 'tcp':
      checkPort(`${path}.tcp.port`, check.value.port, report);
      return;
    case 'http':
      checkHttp(`${path}.http`, check.value, report);
      return;
    case 'grpc':
      checkGrpc(`${path}.grpc`, check.value, report);
      return;
    case 'exec':
      checkExec(`${path}.exec`, check.value, report);
      return;
  }
}

function checkPort(path: string, port: number, report: Report): void {
  if (!Number.isSafeInteger(port) || port < 1 || port > MAX_PORT) report(path, `${port} is not a port: 1 to ${MAX_PORT}`);
}

function checkHttp(path: string, check: HttpCheck, report: Report): void {
  checkPort(`${path}.port`, check.port, report);
  if (check.path.length > 2048) report(`${path}.path`, 'is longer than 2048 characters');
  else if (!/^\/[\u0021-\u007e]*$/.test(check.path))
    report(
      `${path}.path`,
      `"${check.path.slice(0, 80)}" must begin with "/" and hold no blanks and nothing but ASCII; encode the rest, as %20`,
    );
  if (!/^[A-Za-z0-9.:[\]_-]{0,260}$/.test(check.host)) report(`${path}.host`, `"${check.host.slice(0, 80)}" is not HOST or HOST:PORT`);
  checkListLength(`${path}.headers`, check.headers, MAX_HEADERS, report);
  check.headers.slice(0, MAX_HEADERS).forEach(({ name, value }, index) => {
    const shown = `${path}.headers[${index}]`;
    if (!HEADER_NAME.test(name) || name.length > 256) report(`${shown}.name`, `"${name.slice(0, 80)}" is not the name of a header`);
    else if (OWN_HEADERS.has(name.toLowerCase()))
      report(`${shown}.name`, `"${name}" cannot be set${name.toLowerCase() === 'host' ? '; give host' : ''}`);
    if (!HEADER_VALUE.test(value) || value.length > 4096)
      report(`${shown}.value`, 'is longer than 4096 characters, or holds what no header may');
  });
}

function checkGrpc(path: string, check: GrpcCheck, report: Report): void {
  checkPort(`${path}.port`, check.port, report);
  checkText(`${path}.service`, check.service, 255, report);
}

function checkExec(path: string, { command }: ExecCheck, report: Report): void {
  checkListLength(`${path}.command`, command, MAX_WORDS, report);
  if ((command[0] ?? '') === '') report(`${path}.command`, 'is empty: say which command to run');
  if (command.some((word) => word.includes('\0'))) report(`${path}.command`, 'contains a NUL character');
  const length = command.reduce((sum, word) => sum + word.length, 0);
  if (length > MAX_EXEC_LENGTH) report(`${path}.command`, `is longer than ${MAX_EXEC_LENGTH} characters`);
}
