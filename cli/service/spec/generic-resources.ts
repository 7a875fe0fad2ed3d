// --generic-resource: KIND=N, as Docker's.
import type { GenericResource } from '../../../proto/index.ts';
import { splitKeyValue } from './csv.ts';
import type { FlagReader } from './flag-reader.ts';

/** One that is added again gets the new number; removed are whole kinds. */
export function applyGenericResources(before: readonly GenericResource[], flags: FlagReader): readonly GenericResource[] {
  const byKind = new Map(before.map((resource) => [resource.kind, resource]));
  // Docker's own takes KIND=N here, too.
  for (const text of flags.removed('generic-resource').values) byKind.delete(splitKeyValue(text)[0].trim());
  const { flag, values } = flags.added('generic-resource');
  for (const text of values.flatMap((value) => value.split(','))) {
    const [kind, count = ''] = splitKeyValue(text);
    if (kind.trim() === '' || !/^\d{1,7}$/.test(count.trim()) || Number(count) < 1) {
      flags.problem(flag, `"${text}" is not KIND=NUMBER, such as gpu=2`);
      continue;
    }
    byKind.set(kind.trim(), { kind: kind.trim(), count: Number(count), names: [] });
  }
  return [...byKind.values()];
}
