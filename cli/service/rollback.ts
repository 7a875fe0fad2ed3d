// `service rollback`, and `service update --rollback`
import { ShoalError } from '../../lib/errors.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { finishChange, waitTimes } from './finish.ts';
import { tellWarnings } from './warnings.ts';
import type { WaitFlags } from './progress/wait.ts';

/** Prints the service as it was named; progress goes to stderr. */
export async function run(
  context: VerbContext,
  [ref = '']: readonly string[],
  flags: { readonly to?: string } & WaitFlags,
): Promise<undefined> {
  waitTimes(flags);
  const toSpecNumber = flags.to === undefined ? 0 : parseSpecNumber('--to', flags.to);
  const control = await context.control();
  const before = await control.read((client, options) => client.getService({ ref }, options));
  const request = { ref: before.id, version: before.version, toSpecNumber };
  const change = await control.write((client, options) => client.rollbackService(request, options));
  tellWarnings(context, change);
  context.shell.out.write(`${ref}\n`);
  await finishChange(context, change, before, flags, true);
}

const MAX_SPEC_NUMBER = 2 ** 32 - 1;

/** Throws `invalid_argument`. */
export function parseSpecNumber(flag: string, text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (number > 0 && number <= MAX_SPEC_NUMBER) return number;
  throw ShoalError.invalid('wrong spec', [
    { path: flag, message: `"${text}" is not the number of a spec; \`service history\` lists them` },
  ]);
}
