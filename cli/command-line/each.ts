// Several objects in one command: each is attempted, each failure reported, and the worst exit code stands.
import { reportError } from '../error-report.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Shell } from '../shell.ts';

/** Runs `work` for each in turn; Ctrl-C ends it at once. Resolves to 0 or the highest exit code. */
export async function forEach<T>(shell: Shell, items: readonly T[], work: (item: T) => Promise<number | undefined>): Promise<number> {
  let worst = 0;
  for (const item of items) {
    try {
      worst = Math.max(worst, (await work(item)) ?? 0);
    } catch (error) {
      if (ShoalError.from(error).code === 'cancelled') throw error;
      worst = Math.max(worst, reportError(shell, error));
    }
  }
  return worst;
}
