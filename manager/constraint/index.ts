export { type Constraint, type Operator, parseConstraint, type ParsedConstraint, type Term } from './constraint.ts';
export { type NodeKey, nodeValue, parseNodeKey } from './node-key.ts';
export { matchesConstraint, matchesTerm, normalArch } from './node-match.ts';
export { unknownKeyWarning } from './unknown-key.ts';
export { failedConstraint, fitsPlatform, placementProblem, takesGlobalTask } from './placement-fit.ts';
export { type AffinityTarget, parseAffinityTarget, type ParsedSpread, type ParsedTarget, parseSpread } from './preference.ts';
