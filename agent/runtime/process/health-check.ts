// Health checks of plain processes, with Docker's rules: a success makes healthy; `retries` failures in a row make unhealthy, and failures
// within the start period do not count as long as none has succeeded.
import { spawn } from 'node:child_process';
import { type Clock } from '../../../lib/clock.ts';
import { type HealthCheck } from '../../../proto/index.ts';
import { type Health } from '../runtime.ts';

/** Docker's defaults. */
const INTERVAL_MS = 30_000;
const TIMEOUT_MS = 30_000;
const RETRIES = 3;
const MAX_OUTPUT_LENGTH = 300;

export interface HealthRules {
  readonly argv: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly startPeriodMs: number;
}

/** Undefined where there is nothing to check. */
export function healthRules(check: HealthCheck | undefined): HealthRules | undefined {
  const [kind, ...rest] = check?.test ?? [];
  if (check === undefined || kind === undefined || kind === 'NONE' || rest.length === 0) return undefined;
  return {
    argv: kind === 'CMD-SHELL' ? ['/bin/sh', '-c', rest.join(' ')] : rest,
    intervalMs: check.intervalMs || INTERVAL_MS,
    timeoutMs: check.timeoutMs || TIMEOUT_MS,
    retries: check.retries || RETRIES,
    startPeriodMs: check.startPeriodMs,
  };
}

export interface HealthState {
  readonly health: Health;
  readonly failures: number;
}

export function nextHealth(state: HealthState, passed: boolean, sinceStartMs: number, rules: HealthRules): HealthState {
  if (passed) return { health: 'healthy', failures: 0 };
  if (state.health === 'starting' && sinceStartMs < rules.startPeriodMs) return state;
  const failures = state.failures + 1;
  return { health: failures >= rules.retries ? 'unhealthy' : state.health, failures };
}

export interface CheckResult {
  readonly passed: boolean;
  readonly detail: string;
}

/** One run of the check in the task's environment. Never rejects; one that takes too long is killed with its children. */
export function runCheck(
  rules: HealthRules,
  env: Readonly<Record<string, string>>,
  workdir: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<CheckResult> {
  return new Promise((resolve) => {
    const [command = '', ...args] = rules.argv;
    const child = spawn(command, args, { cwd: workdir, env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    const collect = (chunk: Buffer): void => {
      if (output.length < MAX_OUTPUT_LENGTH) output = (output + chunk.toString()).slice(0, MAX_OUTPUT_LENGTH);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const kill = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    };
    const finish = (result: CheckResult): void => {
      timer.cancel();
      signal.removeEventListener('abort', kill);
      resolve(result);
    };
    const timer = clock.after(rules.timeoutMs, () => {
      kill();
      finish({ passed: false, detail: `the health check took longer than ${rules.timeoutMs / 1000} s` });
    });
    signal.addEventListener('abort', kill, { once: true });
    child.once('error', (error) => finish({ passed: false, detail: `the health check cannot run: ${error.message}` }));
    child.once('exit', (code, by) => {
      const how = code === null ? `killed by ${String(by)}` : `exit code ${code}`;
      const words = output.trim();
      finish({ passed: code === 0, detail: code === 0 ? words : `${how}${words === '' ? '' : `: ${words}`}` });
    });
  });
}
