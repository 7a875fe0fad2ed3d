// `service rebalance`
import type { RebalanceAnswer } from '../../proto/index.ts';
import { forEach } from '../command-line/each.ts';
import { parseTimeout } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import { showPlan } from './plan/show.ts';
import type { WaitFlags } from './progress/wait.ts';
import { waitForBalance } from './progress/wait-for-balance.ts';

/** All services are asked for before the first is waited for. Prints each as it was named. */
export async function run(context: VerbContext, refs: readonly string[], flags: WaitFlags & PlanFlags): Promise<number> {
  const { shell } = context;
  readPlanFlags(flags);
  const timeoutMs = parseTimeout(flags.timeout);
  if (flags.plan === true)
    return forEach(shell, refs, (ref) =>
      showPlan(context, 'update', flags.format, () => Promise.resolve({ case: 'rebalance', value: { ref } })),
    );
  const control = await context.control();
  const answers: RebalanceAnswer[] = [];
  const asking = await forEach(shell, refs, async (ref) => {
    answers.push(await control.write((client, options) => client.rebalanceService({ ref }, options)));
    shell.out.write(`${ref}\n`);
    return 0;
  });
  if (flags.detach === true) return asking;
  const waiting = await forEach(shell, answers, async (answer) => {
    await waitForBalance(context, answer, flags.quiet === true, timeoutMs);
    return 0;
  });
  return Math.max(asking, waiting);
}
