// `mesh routes`
import { parseFilters } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { meshRouteFormat } from '../format/mesh.ts';
import { type ListOptions, printList } from '../format/resource.ts';

/** 1 where a node that was named does not answer: its part is missing. */
export async function run(
  context: VerbContext,
  nodeRefs: readonly string[],
  options: ListOptions & { readonly filter?: readonly string[] },
): Promise<number> {
  const filters = parseFilters(options.filter);
  const control = await context.control();
  const { routes, unasked } = await control.read((client, call) => client.listMeshRoutes({ nodeRefs, filters }, call));
  printList(context.shell, meshRouteFormat, routes, options);
  for (const { hostname, nodeId, error } of unasked) {
    context.shell.err.write(`shoal: without the mesh of node ${hostname || nodeId}: ${error}\n`);
  }
  return nodeRefs.length > 0 && unasked.length > 0 ? 1 : 0;
}
