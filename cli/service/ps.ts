// `service ps`: the tasks, and what of published ports they cannot tell, since it is on a node that may have none of them.
import { parseFilters } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { type ListOptions, printList } from '../format/resource.ts';
import { sortTasks, taskFormat } from '../format/task.ts';
import { tellClosedPorts } from './warnings.ts';

export async function run(
  context: VerbContext,
  serviceRefs: readonly string[],
  options: ListOptions & { readonly filter?: readonly string[] },
): Promise<undefined> {
  const filters = parseFilters(options.filter);
  const control = await context.control();
  const { tasks } = await control.read((client, call) => client.listTasks({ filters, serviceRefs, nodeRefs: [], taskRefs: [] }, call));
  printList(context.shell, taskFormat, sortTasks(tasks), options);
  // For people: not where ids or fields are asked for.
  if (options.quiet !== true && options.format === undefined) await tellClosedPorts(context, serviceRefs);
}
