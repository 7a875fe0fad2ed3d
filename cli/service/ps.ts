// `service ps`
import { parseFilters } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { type ListOptions, printList } from '../format/resource.ts';
import { sortTasks, taskFormat } from '../format/task.ts';

export async function run(
  context: VerbContext,
  serviceRefs: readonly string[],
  options: ListOptions & { readonly filter?: readonly string[] },
): Promise<undefined> {
  const filters = parseFilters(options.filter);
  const control = await context.control();
  const { tasks } = await control.read((client, call) => client.listTasks({ filters, serviceRefs, nodeRefs: [], taskRefs: [] }, call));
  printList(context.shell, taskFormat, sortTasks(tasks), options);
}
