// `service diff`
import type { VerbContext } from '../command-line/verb.ts';
import { type ListOptions, printList } from '../format/resource.ts';
import { specChangeFormat } from '../format/spec-change.ts';
import { parseSpecNumber } from './rollback.ts';
import { specChanges } from './spec/spec-changes.ts';

/** One row per setting that differs; nothing at all where none does. */
export async function run(context: VerbContext, [ref = '', a = '', b]: readonly string[], options: ListOptions): Promise<undefined> {
  const numbers = [parseSpecNumber('A', a), b === undefined ? 0 : parseSpecNumber('B', b)] as const;
  const control = await context.control();
  const [before, after] = await Promise.all(
    numbers.map((number) => control.read((client, call) => client.getServiceSpec({ ref, number }, call))),
  );
  const changes = specChanges(before?.spec, after?.spec);
  if (changes.length > 0 || options.format !== undefined) printList(context.shell, specChangeFormat, changes, options);
}
