// `node rm`
import { forEach } from '../command-line/each.ts';
import type { VerbContext } from '../command-line/verb.ts';

export async function run(context: VerbContext, refs: readonly string[], options: { readonly force?: boolean }): Promise<number> {
  const control = await context.control();
  return forEach(context.shell, refs, async (ref) => {
    await control.write((client, call) => client.removeNode({ ref, force: options.force === true }, call));
    context.shell.out.write(`${ref}\n`);
    return 0;
  });
}
