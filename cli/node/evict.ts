// `node evict`
import { forEach } from '../command-line/each.ts';
import type { VerbContext } from '../command-line/verb.ts';

export async function run(context: VerbContext, refs: readonly string[]): Promise<number> {
  const control = await context.control();
  return forEach(context.shell, refs, async (ref) => {
    await control.write((client, call) => client.evictNode({ ref }, call));
    context.shell.out.write(`${ref}\n`);
    return 0;
  });
}
