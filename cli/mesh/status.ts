// `mesh status`
import { parseFilters } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { meshFormat, meshPortFormat, portRows } from '../format/mesh.ts';
import { type ListOptions, printList } from '../format/resource.ts';

/** 1 where a node that was named does not answer. */
export async function run(
  context: VerbContext,
  nodeRefs: readonly string[],
  options: ListOptions & { readonly filter?: readonly string[] },
): Promise<number> {
  const filters = parseFilters(options.filter);
  const control = await context.control();
  const ports = nodeRefs.length > 0;
  const { nodes } = await control.read((client, call) => client.getMeshStatus({ nodeRefs, filters, ports }, call));
  if (!ports) {
    printList(context.shell, meshFormat, nodes, options);
    return 0;
  }
  printList(context.shell, meshPortFormat, nodes.flatMap(portRows), options);
  const silent = nodes.filter(({ error }) => error !== '');
  for (const { hostname, nodeId, error } of silent) context.shell.err.write(`shoal: node ${hostname || nodeId}: ${error}\n`);
  return silent.length > 0 ? 1 : 0;
}
