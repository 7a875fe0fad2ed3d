export { type Constraint, type ConstraintKey, parseConstraint, type ParsedConstraint, unknownKeyWarning } from './constraint.ts';
export { matchesConstraint, normalArch } from './node-match.ts';
export { failedConstraint, fitsPlatform, placementProblem, takesGlobalTask } from './placement-fit.ts';
