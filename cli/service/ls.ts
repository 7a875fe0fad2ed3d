// `service ls`
import { parseFilters } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { type ListOptions, printList } from '../format/resource.ts';
import { serviceFormat } from '../format/service.ts';

export async function run(
  context: VerbContext,
  _args: readonly string[],
  options: ListOptions & { readonly filter?: readonly string[] },
): Promise<undefined> {
  const filters = parseFilters(options.filter);
  const control = await context.control();
  const { services } = await control.read((client, call) => client.listServices({ filters }, call));
  const sorted = [...services].sort((a, b) => ((a.spec?.name ?? '') < (b.spec?.name ?? '') ? -1 : 1));
  printList(context.shell, serviceFormat, sorted, options);
}
