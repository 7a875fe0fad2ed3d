// What users may set on a node.
import type { FieldProblem } from '../../../lib/errors.ts';
import { Availability, type NodeSpec } from '../../../proto/index.ts';
import { checkEnum, checkMap, type Report } from './report.ts';

/** `before` is the node's present spec. */
export function nodeSpecProblems(before: NodeSpec, after: NodeSpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report: Report = (path, message) => {
    problems.push({ path, message });
  };
  if (before.role !== after.role) report('role', 'roles go by certificates, which are not built yet and come with a later release');
  checkEnum('availability', after.availability, Availability, report);
  checkMap('labels', after.labels, report);
  return problems;
}
