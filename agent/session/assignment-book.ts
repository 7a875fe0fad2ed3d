// What this node shall run, as the managers said last: pure rules for sets and increments.
import type { Assignment, AssignmentDelta, AssignmentSet, Epoch } from '../../proto/index.ts';
import { describeEpoch, refusalOf, sameEpoch } from './epochs.ts';

export interface AssignmentBook {
  /** Undefined: nothing was ever assigned. */
  readonly epoch: Epoch | undefined;
  readonly tasks: ReadonlyMap<string, Assignment>;
}

export const emptyBook: AssignmentBook = { epoch: undefined, tasks: new Map() };

export type BookChange =
  | { readonly kind: 'applied'; readonly book: AssignmentBook }
  /** Increments were missed: the whole set is needed. */
  | { readonly kind: 'gap'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

export function bookOf(set: AssignmentSet): AssignmentBook {
  return { epoch: set.epoch, tasks: new Map(set.assignments.map((assignment) => [assignment.taskId, assignment])) };
}

export function setOf(book: AssignmentBook): AssignmentSet {
  return { epoch: book.epoch, assignments: [...book.tasks.values()] };
}

export function applySet(book: AssignmentBook, set: AssignmentSet, clusterId: string): BookChange {
  const reason = refusalOf(set.epoch, book.epoch, clusterId);
  return reason === undefined ? { kind: 'applied', book: bookOf(set) } : { kind: 'refused', reason };
}

export function applyDelta(book: AssignmentBook, delta: AssignmentDelta, clusterId: string): BookChange {
  const reason = refusalOf(delta.result, book.epoch, clusterId);
  if (reason !== undefined) return { kind: 'refused', reason };
  if (book.epoch === undefined || !sameEpoch(delta.base, book.epoch))
    return { kind: 'gap', reason: `an increment stands on ${describeEpoch(delta.base)}; this node has ${describeEpoch(book.epoch)}` };
  const tasks = new Map(book.tasks);
  for (const taskId of delta.removedTaskIds) tasks.delete(taskId);
  for (const assignment of delta.put) tasks.set(assignment.taskId, assignment);
  return { kind: 'applied', book: { epoch: delta.result, tasks } };
}
