// `service pause` and `service resume`
import { ShoalError } from '../../lib/errors.ts';
import { forEach } from '../command-line/each.ts';
import { flagReader } from './spec/flag-reader.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { tellWarnings } from './warnings.ts';

/** Prints each service as it was named. */
export async function runPause(context: VerbContext, refs: readonly string[], values: { readonly for?: string }): Promise<number> {
  const flags = flagReader(values, 'update');
  const maxMs = flags.durationMs('for') ?? 0;
  if (values.for !== undefined && maxMs === 0 && flags.problems.length === 0)
    flags.problem('--for', `"${values.for}" is not between 1s and 10m`);
  flags.check('the service cannot be paused');
  const control = await context.control();
  return forEach(context.shell, refs, async (ref) => {
    tellWarnings(context, await control.write((client, options) => client.pauseService({ ref, maxMs }, options)).catch(inFlag));
    context.shell.out.write(`${ref}\n`);
    return 0;
  });
}

/** Prints each service as it was named. */
export async function runResume(context: VerbContext, refs: readonly string[]): Promise<number> {
  const control = await context.control();
  return forEach(context.shell, refs, async (ref) => {
    tellWarnings(context, await control.write((client, options) => client.resumeService({ ref }, options)));
    context.shell.out.write(`${ref}\n`);
    return 0;
  });
}

function inFlag(thrown: unknown): never {
  const error = ShoalError.from(thrown);
  if (error.fields.length === 0) throw error;
  throw ShoalError.invalid(
    'the service cannot be paused',
    error.fields.map(({ message }) => ({ path: '--for', message })),
  );
}
