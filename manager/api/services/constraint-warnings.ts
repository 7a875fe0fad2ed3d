// Constraints that are well formed, yet will never let a task run: a warning, or beside what is refused one more thing to put right.
import type { FieldProblem } from '../../../lib/errors.ts';
import type { ServiceSpec } from '../../../proto/index.ts';
import { unknownKeyWarning } from '../../constraint/index.ts';

/** Of those that `before` did not have. */
export function constraintWarnings(spec: ServiceSpec, before?: ServiceSpec): readonly string[] {
  return idleConstraints(spec, before).map(({ message }) => message);
}

/** The same with the fields that they are in. */
export function idleConstraints(spec: ServiceSpec, before?: ServiceSpec): readonly FieldProblem[] {
  const known = new Set(before?.task?.placement?.constraints);
  return (spec.task?.placement?.constraints ?? []).flatMap((text, index) => {
    const message = known.has(text) ? undefined : unknownKeyWarning(text);
    return message === undefined ? [] : [{ path: `task.placement.constraints[${index}]`, message }];
  });
}
