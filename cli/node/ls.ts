// `node ls`
import { parseFilters } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { nodeFormat, sortNodes } from '../format/node.ts';
import { type ListOptions, printList } from '../format/resource.ts';

export async function run(
  context: VerbContext,
  _args: readonly string[],
  options: ListOptions & { readonly filter?: readonly string[] },
): Promise<undefined> {
  const filters = parseFilters(options.filter);
  const control = await context.control();
  const { nodes } = await control.read((client, call) => client.listNodes({ filters, refs: [] }, call));
  const { managerId } = await control.read((client, call) => client.getCluster({}, call));
  printList(context.shell, nodeFormat(managerId), sortNodes(nodes), options);
}
