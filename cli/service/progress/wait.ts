// Waits until a service has converged on a change, on one stream from a manager; another manager takes over where that one goes away.
import { ShoalError } from '../../../lib/errors.ts';
import { type ServiceProgress, UpdateState } from '../../../proto/index.ts';
import { followUntil } from '../../client/follow.ts';
import type { VerbContext } from '../../command-line/verb.ts';
import { progressLines } from './describe.ts';
import { type ProgressView, progressView } from './view.ts';

export interface WaitFlags {
  readonly detach?: boolean;
  readonly quiet?: boolean;
  readonly timeout?: string;
}

export interface Change {
  readonly serviceId: string;
  readonly serviceName: string;
  /** Of the store, after the change. */
  readonly revision: number;
  /** False: the service was so already, and what is waited for is what went on before. */
  readonly isChanged: boolean;
  /** When the update began that stood before the change; a pause of that one is old news. 0: there was none. */
  readonly earlierUpdateUnixMs: number;
}

/**
 * Resolves when the service has converged. Rejects with `not_converged` after `timeoutMs` or where the update was paused,
 * `not_found` where the service was removed, `cancelled` on Ctrl-C; in all cases the change itself stands.
 */
export async function waitForConvergence(context: VerbContext, change: Change, quiet: boolean, timeoutMs?: number): Promise<void> {
  const { shell } = context;
  const control = await context.control();
  const view = progressView(shell, quiet);
  await followUntil(
    shell,
    control,
    {
      open: (client, options) => client.watchProgress({ serviceRef: change.serviceId, revision: change.revision }, options),
      isOver: (progress: ServiceProgress) => isOver(progress, change, view),
      silence: `the managers do not say how ${change.serviceName} is doing; the change stands. ${wayToLook(change)}`,
    },
    { interrupted: () => interrupted(change), timedOut: (afterMs) => timedOut(change, afterMs), timeoutMs },
  );
}

function isOver(progress: ServiceProgress, change: Change, view: ProgressView): boolean {
  view.show(progressLines(progress));
  if (progress.removed) throw new ShoalError('not_found', `the service ${change.serviceName} was removed meanwhile`);
  if (progress.converged) {
    view.finish(`service ${change.serviceName} converged`);
    return true;
  }
  const { update } = progress;
  const paused = update?.state === UpdateState.UPDATE_PAUSED || update?.state === UpdateState.ROLLBACK_PAUSED;
  if (update !== undefined && paused && update.startedUnixMs !== change.earlierUpdateUnixMs) throw pausedError(change, update.message);
  return false;
}

function pausedError(change: Change, reason: string): ShoalError {
  const { serviceName, isChanged } = change;
  const what = isChanged ? `the update of ${serviceName} was paused` : `${serviceName} is like that already, and its update is paused`;
  const wayOut = `\`shoal service update --force ${serviceName}\` tries it again`;
  return new ShoalError('not_converged', `${what}: ${reason}. ${wayToLook(change)}; ${wayOut}`);
}

function timedOut(change: Change, timeoutMs: number): ShoalError {
  return new ShoalError(
    'not_converged',
    `${change.serviceName} has not converged within ${timeoutMs / 1000} s; it goes on. ${wayToLook(change)}`,
  );
}

function interrupted(change: Change): ShoalError {
  return new ShoalError('cancelled', `no longer waiting; the change to ${change.serviceName} goes on. ${wayToLook(change)}`);
}

function wayToLook(change: Change): string {
  return `\`shoal service ps ${change.serviceName}\` shows how far it is`;
}
