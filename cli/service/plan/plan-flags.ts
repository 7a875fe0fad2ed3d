// --plan, --if-version and --format of the verbs that change services.
import type { Command } from 'commander';
import { type FieldProblem, ShoalError } from '../../../lib/errors.ts';
import { toggle } from '../../command-line/toggles.ts';

export interface PlanFlags {
  readonly plan?: boolean;
  readonly ifVersion?: string;
  readonly format?: string;
}

/** Of `--if-version VERSION` or `--if-version VERSION-OUTCOME`, as a plan prints it. */
export interface IfVersion {
  readonly version: number;
  /** Empty: any outcome. */
  readonly digest: string;
}

export function declarePlanFlags(command: Command): void {
  toggle(command, '--plan', 'only show what would change; exit code 0: nothing, 1: something, above: an error');
  command.option('--format <FORMAT>', 'of --plan: "json" or a Go template such as "{{.Fits}}"');
  declareIfVersion(command);
}

export function declareIfVersion(command: Command): void {
  command.option('--if-version <VERSION>', 'refuse (exit code 4) unless the service is at this version, as --plan printed it');
}

const IF_VERSION = /^(\d{1,15})(?:-([0-9a-f]{12}))?$/;

/** Throws `invalid_argument` with every wrong flag. `services`: how many are named. */
export function readPlanFlags(flags: PlanFlags, services = 1): IfVersion | undefined {
  const problems: FieldProblem[] = [];
  if (flags.format !== undefined && flags.plan !== true) problems.push({ path: '--format', message: 'is for --plan, which is not given' });
  if (flags.plan === true && flags.ifVersion !== undefined)
    problems.push({ path: '--if-version', message: 'applies a plan, and --plan makes one: give one of them' });
  const [, version, digest = ''] = IF_VERSION.exec(flags.ifVersion ?? '') ?? [];
  if (flags.ifVersion !== undefined && version === undefined)
    problems.push({
      path: '--if-version',
      message: `"${flags.ifVersion}" is not a version as --plan prints it, such as 1234 or 1234-0123456789ab`,
    });
  if (flags.ifVersion !== undefined && services > 1)
    problems.push({
      path: '--if-version',
      message: `"${flags.ifVersion}" is the version of one service, and ${String(services)} are named`,
    });
  if (problems.length > 0) throw ShoalError.invalid('wrong flags', problems);
  return version === undefined ? undefined : { version: Number(version), digest };
}
