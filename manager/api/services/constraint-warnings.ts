// Constraints that are well formed, yet will never let a task run.
import type { ServiceSpec } from '../../../proto/index.ts';
import { unknownKeyWarning } from '../../constraint/index.ts';

/** Of those that `before` did not have. */
export function constraintWarnings(spec: ServiceSpec, before?: ServiceSpec): readonly string[] {
  const known = new Set(before?.task?.placement?.constraints);
  const fresh = (spec.task?.placement?.constraints ?? []).filter((text) => !known.has(text));
  return fresh.flatMap((text) => unknownKeyWarning(text) ?? []);
}
