// `node drain`, `node pause` and `node activate`
import { ShoalError } from '../../lib/errors.ts';
import { Availability, type DrainProgress, type NodeView } from '../../proto/index.ts';
import { followUntil } from '../client/follow.ts';
import { forEach } from '../command-line/each.ts';
import { parseTimeout } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import type { Shell } from '../shell.ts';
import { changeNode } from './change.ts';

interface DrainFlags {
  readonly wait?: boolean;
  readonly timeout?: string;
}

export const runActivate = (context: VerbContext, refs: readonly string[]): Promise<number> => makeAll(context, refs, Availability.ACTIVE);
export const runPause = (context: VerbContext, refs: readonly string[]): Promise<number> => makeAll(context, refs, Availability.PAUSE);

/** With --wait each node in turn is waited for; all are drained before the first wait. */
export async function runDrain(context: VerbContext, refs: readonly string[], flags: DrainFlags): Promise<number> {
  const timeoutMs = parseTimeout(flags.timeout);
  if (flags.timeout !== undefined && flags.wait !== true)
    throw ShoalError.invalid('wrong flags', [
      { path: '--timeout', message: `"${flags.timeout}" goes with --wait, without which nothing is waited for` },
    ]);
  const drained: { readonly ref: string; readonly node: NodeView }[] = [];
  const exitCode = await makeAll(context, refs, Availability.DRAIN, (ref, node) => drained.push({ ref, node }));
  if (flags.wait !== true) return exitCode;
  const waited = await forEach(context.shell, drained, async ({ ref, node }) => {
    await waitUntilEmpty(context, ref, node, timeoutMs);
    return 0;
  });
  return Math.max(exitCode, waited);
}

async function makeAll(
  context: VerbContext,
  refs: readonly string[],
  availability: Availability,
  done: (ref: string, node: NodeView) => void = () => undefined,
): Promise<number> {
  const control = await context.control();
  return forEach(context.shell, refs, async (ref) => {
    done(ref, await changeNode(control, ref, (spec) => ({ ...spec, availability })));
    context.shell.out.write(`${ref}\n`);
    return 0;
  });
}

async function waitUntilEmpty(context: VerbContext, ref: string, node: NodeView, timeoutMs: number | undefined): Promise<void> {
  const { shell } = context;
  const control = await context.control();
  const show = progressPrinter(shell);
  const look = `\`shoal node ps ${ref}\` shows what is left`;
  await followUntil(
    shell,
    control,
    {
      open: (client, options) => client.watchDrain({ nodeRef: node.id, revision: node.revision }, options),
      isOver: (progress: DrainProgress) => {
        show(ref, progress);
        if (progress.notDraining) throw new ShoalError('conflict', `node ${ref} is not drained any more: somebody changed it meanwhile`);
        return progress.empty || progress.removed;
      },
      silence: `the managers do not say how far the drain of ${ref} is; it goes on. ${look}`,
    },
    {
      interrupted: () => new ShoalError('cancelled', `no longer waiting; the drain of ${ref} goes on. ${look}`),
      timedOut: (afterMs) => new ShoalError('not_converged', `${ref} is not empty within ${afterMs / 1000} s; the drain goes on. ${look}`),
      timeoutMs,
    },
  );
}

/** A line for each change of what is left, to stderr. */
function progressPrinter(shell: Shell): (ref: string, progress: DrainProgress) => void {
  let told = '';
  return (ref, { left, waiting, empty, removed }) => {
    const tasks = left === 1 ? '1 task' : `${left} tasks`;
    const text = removed ? `${ref}: was removed` : empty ? `${ref}: empty` : `${ref}: ${tasks} left (${waiting.join('; ')})`;
    if (text !== told) shell.err.write(`${text}\n`);
    told = text;
  };
}
