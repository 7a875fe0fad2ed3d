import assert from 'node:assert/strict';
import { applyDelta, applySet, type AssignmentBook, bookOf, emptyBook } from '../../../agent/session/assignment-book.ts';
import { Assignment, type Epoch, TaskState } from '../../../proto/index.ts';

const epoch = (revision: number, incarnationNumber = 1, incarnation = 'first', clusterId = 'c1'): Epoch => ({
  clusterId,
  incarnation,
  incarnationNumber,
  revision,
});
const task = (taskId: string, desired: TaskState = TaskState.RUNNING): Assignment => Assignment.create({ taskId, desired });
const book: AssignmentBook = bookOf({ epoch: epoch(10), assignments: [task('a'), task('b')] });

describe('assignment book', () => {
  it('takes a set in place of all it had', () => {
    const change = applySet(book, { epoch: epoch(11), assignments: [task('c')] }, 'c1');
    assert.deepEqual(change.kind === 'applied' && [...change.book.tasks.keys()], ['c']);
  });

  it('takes the same set again', () => {
    assert.equal(applySet(book, { epoch: epoch(10), assignments: [task('a')] }, 'c1').kind, 'applied');
  });

  it('takes an increment on what it has', () => {
    const change = applyDelta(
      book,
      { base: epoch(10), result: epoch(12), put: [task('a', TaskState.SHUTDOWN), task('c')], removedTaskIds: ['b'] },
      'c1',
    );
    assert.ok(change.kind === 'applied');
    assert.deepEqual([...change.book.tasks.keys()], ['a', 'c']);
    assert.equal(change.book.tasks.get('a')?.desired, TaskState.SHUTDOWN);
    assert.equal(change.book.epoch?.revision, 12);
    assert.equal(book.tasks.get('a')?.desired, TaskState.RUNNING, 'the book before is as it was');
  });

  it('sees a gap in an increment on something else', () => {
    assert.equal(applyDelta(book, { base: epoch(11), result: epoch(12), put: [], removedTaskIds: [] }, 'c1').kind, 'gap');
    assert.equal(applyDelta(emptyBook, { base: epoch(11), result: epoch(12), put: [], removedTaskIds: [] }, 'c1').kind, 'gap');
    assert.equal(
      applyDelta(book, { base: epoch(10, 2, 'second'), result: epoch(12, 2, 'second'), put: [], removedTaskIds: [] }, 'c1').kind,
      'gap',
    );
  });

  const refused: readonly (readonly [string, Epoch | undefined, RegExp])[] = [
    ['an older revision', epoch(9), /older/],
    ['an older incarnation, whatever its revision', epoch(99, 0, 'zeroth'), /older/],
    ['another cluster', epoch(99, 9, 'x', 'c2'), /of cluster c2/],
    ['a history of the same number that is not the one followed', epoch(99, 1, 'fork'), /not the one followed/],
    ['what carries no epoch', undefined, /no epoch/],
  ];
  for (const [what, next, why] of refused) {
    it(`refuses ${what}`, () => {
      const set = applySet(book, { epoch: next, assignments: [] }, 'c1');
      const delta = applyDelta(book, { base: epoch(10), result: next, put: [], removedTaskIds: ['a'] }, 'c1');
      assert.match(set.kind === 'refused' ? set.reason : '', why);
      assert.match(delta.kind === 'refused' ? delta.reason : '', why);
    });
  }

  it('takes a lower revision of a higher incarnation', () => {
    assert.equal(applySet(book, { epoch: epoch(3, 2, 'second'), assignments: [] }, 'c1').kind, 'applied');
  });
});
