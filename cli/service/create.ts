// `service create`
import type { VerbContext } from '../command-line/verb.ts';
import { registryAuthFor } from '../registry/registry-auth.ts';
import { checkedSpec } from './checked-spec.ts';
import { finishChange, tellWarnings, waitTimes } from './finish.ts';
import { madeUpName } from './made-up-name.ts';
import type { WaitFlags } from './progress/wait.ts';
import type { FlagValues } from './spec/flag-reader.ts';
import { inFlags } from './spec/flag-paths.ts';
import { createSpec, withRegistryAuth } from './spec/service-spec.ts';

/** Prints the new service's id; progress goes to stderr. */
export async function run(
  context: VerbContext,
  [image = '', ...args]: readonly string[],
  flags: FlagValues & WaitFlags,
): Promise<undefined> {
  const { shell } = context;
  waitTimes(flags);
  const draft = createSpec(image, args, flags, shell, () => madeUpName(shell.rng));
  const spec = await checkedSpec(context, draft, { purpose: 'create', ref: '', refusal: 'the service cannot be created' });
  const registryAuth = flags['withRegistryAuth'] === true ? await registryAuthFor(image, shell, shell.interrupt()) : '';
  const control = await context.control();
  const request = { spec: withRegistryAuth(spec, registryAuth), registryAuth, noResolveImage: flags['resolveImage'] === false };
  const change = await inFlags('create', () => control.write((client, options) => client.createService(request, options)));
  tellWarnings(context, change);
  shell.out.write(`${change.service?.id ?? ''}\n`);
  await finishChange(context, change, undefined, flags);
}
