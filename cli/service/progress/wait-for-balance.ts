// Waits until a rebalancing that was asked for has come to its end, on one stream from a manager.
import { ShoalError } from '../../../lib/errors.ts';
import { type RebalanceAnswer, RebalanceState, type ServiceProgress } from '../../../proto/index.ts';
import { followUntil } from '../../client/follow.ts';
import type { VerbContext } from '../../command-line/verb.ts';
import { sentence } from '../../format/text.ts';
import { progressLines } from './describe.ts';
import { type ProgressView, progressView } from './view.ts';

/**
 * Resolves when no task would do better elsewhere. Rejects with `not_converged` after `timeoutMs`, or where it was stopped or cancelled, `not_found`
 * where the service was removed, `cancelled` on Ctrl-C.
 */
export async function waitForBalance(context: VerbContext, answer: RebalanceAnswer, quiet: boolean, timeoutMs?: number): Promise<void> {
  const { shell } = context;
  const { serviceId, serviceName: name, revision } = answer;
  const view = progressView(shell, quiet);
  const look = `\`shoal service inspect --pretty ${name}\` shows how far it is`;
  await followUntil(
    shell,
    await context.control(),
    {
      open: (client, options) => client.watchProgress({ serviceRef: serviceId, revision, stableMs: 0 }, options),
      isOver: (progress: ServiceProgress) => isOver(progress, answer, view),
      silence: `the managers do not say how the rebalancing of ${name} is doing; it goes on. ${look}`,
    },
    {
      interrupted: () => new ShoalError('cancelled', `no longer waiting; the rebalancing of ${name} goes on. ${look}`),
      timedOut: (afterMs) => new ShoalError('not_converged', `${name} is not rebalanced within ${afterMs / 1000} s; it goes on. ${look}`),
      timeoutMs,
    },
  );
}

function isOver(progress: ServiceProgress, { serviceName: name, request }: RebalanceAnswer, view: ProgressView): boolean {
  view.show(progressLines(progress));
  if (progress.removed) throw new ShoalError('not_found', `the service ${name} was removed meanwhile`);
  const { rebalance } = progress;
  // What is said of an earlier wish is old news.
  if (rebalance === undefined || rebalance.request < request) return false;
  switch (rebalance.state) {
    case RebalanceState.REBALANCE_COMPLETED:
      view.finish(`service ${name} is balanced: ${rebalance.message}`);
      return true;
    case RebalanceState.REBALANCE_STOPPED:
      throw new ShoalError(
        'not_converged',
        `${sentence(`the rebalancing of ${name} was stopped: ${rebalance.message}`)} \`shoal service explain ${name}\` says more`,
      );
    case RebalanceState.REBALANCE_CANCELLED:
      throw new ShoalError('not_converged', `the rebalancing of ${name} was cancelled: ${rebalance.message}`);
    default:
      return false;
  }
}
