// Whether a node is of the kind that a spec asks for: its constraints and its platforms. What else is on the node does not matter here.
import { Availability, type Node, NodeState, type NodeStatus, type Placement, type Platform } from '../../proto/index.ts';
import { type Constraint, parseConstraint } from './constraint.ts';
import { matchesConstraint, normalArch } from './node-match.ts';

/** Undefined: it does not parse, and so no node satisfies it. */
type Parsed = readonly (Constraint | undefined)[];

const PARSED = new WeakMap<Placement, Parsed>();
const NO_CONSTRAINTS: Parsed = [];

function parsedOf(placement: Placement | undefined): Parsed {
  if (placement === undefined || placement.constraints.length === 0) return NO_CONSTRAINTS;
  let parsed = PARSED.get(placement);
  if (parsed === undefined) {
    parsed = placement.constraints.map((text) => {
      const result = parseConstraint(text);
      return result.ok ? result.constraint : undefined;
    });
    PARSED.set(placement, parsed);
  }
  return parsed;
}

/** The first constraint, as written, that the node does not satisfy; undefined: it satisfies all. */
export function failedConstraint(placement: Placement | undefined, node: Node, status: NodeStatus | undefined): string | undefined {
  const parsed = parsedOf(placement);
  const failed = parsed.findIndex((constraint) => constraint === undefined || !matchesConstraint(constraint, node, status));
  return failed === -1 ? undefined : placement?.constraints[failed];
}

/** No platforms, or an empty field of one, ask for nothing. */
export function fitsPlatform(placement: Placement | undefined, status: NodeStatus | undefined): boolean {
  if (placement === undefined || placement.platforms.length === 0) return true;
  const actual = status?.description?.platform;
  return placement.platforms.some((wanted) => samePlatform(wanted, actual));
}

function samePlatform(wanted: Platform, actual: Platform | undefined): boolean {
  if (wanted.os !== '' && wanted.os.toLowerCase() !== actual?.os.toLowerCase()) return false;
  return wanted.arch === '' || (actual !== undefined && normalArch(wanted.arch) === normalArch(actual.arch));
}

/** Why the placement does not allow the node, in plain words; undefined: it does. */
export function placementProblem(placement: Placement | undefined, node: Node, status: NodeStatus | undefined): string | undefined {
  const failed = failedConstraint(placement, node, status);
  if (failed !== undefined) return `constraint ${failed} is not satisfied`;
  return fitsPlatform(placement, status) ? undefined : 'the platform is not supported';
}

/** A node that a global service shall have a new task on: READY, active and allowed by the placement. */
export function takesGlobalTask(placement: Placement | undefined, node: Node, status: NodeStatus | undefined): boolean {
  if (status?.state !== NodeState.NODE_READY || (node.spec?.availability ?? Availability.ACTIVE) !== Availability.ACTIVE) return false;
  return placementProblem(placement, node, status) === undefined;
}
