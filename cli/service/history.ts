// `service history`
import type { VerbContext } from '../command-line/verb.ts';
import { type ListOptions, printList } from '../format/resource.ts';
import { specHistoryFormat } from '../format/spec-history.ts';

export async function run(context: VerbContext, [ref = '']: readonly string[], options: ListOptions): Promise<undefined> {
  const control = await context.control();
  const { entries } = await control.read((client, call) => client.listServiceSpecs({ ref }, call));
  printList(context.shell, specHistoryFormat, entries, options);
}
