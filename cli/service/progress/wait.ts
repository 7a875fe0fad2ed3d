// Waits until a service has converged on a change, on one stream from a manager; another manager takes over where that one goes away.
import { ShoalError } from '../../../lib/errors.ts';
import { type JobProgress, JobState, type ServiceProgress, UpdateState } from '../../../proto/index.ts';
import { followUntil } from '../../client/follow.ts';
import { canaryText, canaryWays } from '../../format/canary.ts';
import { sentence, timestamp } from '../../format/text.ts';
import type { VerbContext } from '../../command-line/verb.ts';
import { progressLines } from './describe.ts';
import { type ProgressView, progressView } from './view.ts';

export interface WaitFlags {
  readonly detach?: boolean;
  readonly quiet?: boolean;
  readonly timeout?: string;
  readonly verify?: string;
}

export interface Change {
  readonly serviceId: string;
  readonly serviceName: string;
  /** Of the store, after the change. */
  readonly revision: number;
  /** False: the service was so already, and what is waited for is what went on before. */
  readonly isChanged: boolean;
  /** The spec whose roll-out is waited for: what is said of an earlier one is old news. */
  readonly specNumber: number;
  /** The change is itself a rollback. */
  readonly isRollback: boolean;
}

export interface WaitTimes {
  /** How long all has to stay up to count as converged. */
  readonly stableMs: number;
  /** Undefined: as long as it takes. */
  readonly timeoutMs: number | undefined;
}

/**
 * Resolves when the service has converged and stayed so. Rejects with `not_converged` after `timeoutMs` or where the update was paused or rolled back,
 * `not_found` where the service was removed, `cancelled` on Ctrl-C; in all cases the change itself stands.
 */
export async function waitForConvergence(context: VerbContext, change: Change, quiet: boolean, times: WaitTimes): Promise<void> {
  const { stableMs, timeoutMs } = times;
  const { shell } = context;
  const control = await context.control();
  const view = progressView(shell, quiet);
  await followUntil(
    shell,
    control,
    {
      open: (client, options) => client.watchProgress({ serviceRef: change.serviceId, revision: change.revision, stableMs }, options),
      isOver: (progress: ServiceProgress) => isOver(progress, change, view),
      silence: `the managers do not say how ${change.serviceName} is doing; the change stands. ${wayToLook(change)}`,
    },
    { interrupted: () => interrupted(change), timedOut: (afterMs) => timedOut(change, afterMs), timeoutMs },
  );
}

function isOver(progress: ServiceProgress, change: Change, view: ProgressView): boolean {
  view.show(progressLines(progress));
  if (progress.removed) throw new ShoalError('not_found', `the service ${change.serviceName} was removed meanwhile`);
  if (progress.job !== undefined) return isJobOver(progress.converged, progress.job, change, view);
  const { update } = progress;
  const news = update !== undefined && (!change.isChanged || update.specNumber === change.specNumber) ? update : undefined;
  if (news?.state === UpdateState.CANARY_PAUSED && progress.canary?.paused !== '') throw canaryError(change, progress, news.message);
  if (progress.converged) {
    const isUndone = news?.state === UpdateState.ROLLBACK_COMPLETED && change.isChanged && !change.isRollback;
    if (isUndone) throw undoneError(change, news.message);
    const canary = progress.canary && ` with a ${canaryText(progress.canary)}: ${canaryWays(progress.canary, change.serviceName)}`;
    view.finish(`service ${change.serviceName} converged${canary ?? leftovers(progress)}`);
    return true;
  }
  if (news?.state === UpdateState.UPDATE_PAUSED) throw pausedError(change, 'update', news.message);
  if (news?.state === UpdateState.ROLLBACK_PAUSED) throw pausedError(change, 'rollback', news.message);
  return false;
}

/** Tasks that are no longer wanted have been told to stop; that need not be waited for. */
function leftovers({ slots, desired }: ServiceProgress): string {
  const count = slots.filter((slot) => slot.surplus).length;
  if (count === 0) return '';
  return `: ${desired} ${desired === 1 ? 'task runs' : 'tasks run'}, ${count} ${count === 1 ? 'is' : 'are'} still stopping`;
}

function isJobOver(converged: boolean, { iteration, nextRunUnixMs }: JobProgress, change: Change, view: ProgressView): boolean {
  if (!converged) return false;
  const { serviceName } = change;
  const isOurs = iteration !== undefined && (!change.isChanged || iteration.specNumber === change.specNumber);
  if (isOurs && (iteration.state === JobState.JOB_FAILED || iteration.state === JobState.JOB_REPLACED)) {
    throw new ShoalError('not_converged', `${sentence(`job ${serviceName} did not complete: ${iteration.message}`)} ${wayToLook(change)}`);
  }
  const next = nextRunUnixMs === 0 ? '' : `; it runs next at ${timestamp(nextRunUnixMs)}`;
  view.finish(isOurs ? `job ${serviceName} complete` : `job ${serviceName} is as it shall be${next}`);
  return true;
}

/** The service runs well, but not as it was asked for. */
function undoneError(change: Change, message: string): ShoalError {
  const reason = message.replace(/^rollback completed: /, '');
  const wayToSee = `\`shoal service history ${change.serviceName}\` shows which spec it runs now`;
  return new ShoalError('not_converged', `${sentence(`${change.serviceName} is back at its earlier spec: ${reason}`)} ${wayToSee}`);
}

function canaryError(change: Change, { canary }: ServiceProgress, reason: string): ShoalError {
  const ways = canary === undefined ? '' : `; ${canaryWays(canary, change.serviceName)}`;
  return new ShoalError(
    'not_converged',
    `${sentence(`the canary of ${change.serviceName} was paused: ${reason}`)} ${wayToLook(change)}${ways}`,
  );
}

function pausedError(change: Change, what: 'update' | 'rollback', reason: string): ShoalError {
  const { serviceName, isChanged } = change;
  const where = isChanged ? `the ${what} of ${serviceName} was paused` : `${serviceName} is like that already, and its ${what} is paused`;
  const again = `\`shoal service update --force ${serviceName}\` tries it again`;
  const wayOut = what === 'update' ? `${again}, \`shoal service rollback ${serviceName}\` undoes it` : again;
  return new ShoalError('not_converged', `${sentence(`${where}: ${reason}`)} ${wayToLook(change)}; ${wayOut}`);
}

function timedOut(change: Change, timeoutMs: number): ShoalError {
  return new ShoalError(
    'not_converged',
    `${change.serviceName} has not converged within ${timeoutMs / 1000} s; it goes on. ${wayToLook(change)}, \`shoal service explain ${change.serviceName}\` why`,
  );
}

function interrupted(change: Change): ShoalError {
  return new ShoalError('cancelled', `no longer waiting; the change to ${change.serviceName} goes on. ${wayToLook(change)}`);
}

function wayToLook(change: Change): string {
  return `\`shoal service ps ${change.serviceName}\` shows how far it is`;
}
