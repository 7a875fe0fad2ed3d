import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AssignmentBook } from '../../../agent/session/assignment-book.ts';
import { type AssignmentKeeper, openAssignments } from '../../../agent/session/assignment-keeper.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import { Assignment, type Epoch } from '../../../proto/index.ts';
import { until } from '../../support/until.ts';

const epoch = (revision: number): Epoch => ({ clusterId: 'c1', incarnation: 'i', incarnationNumber: 1, revision });
const task = (taskId: string): Assignment => Assignment.create({ taskId });

describe('assignment keeper', () => {
  let dataDir: string;
  let applied: { readonly book: AssignmentBook; readonly complete: boolean; readonly onDisk: readonly string[] }[];

  const open = (): AssignmentKeeper => {
    const rest = { dataDir, clock: systemClock, rng: seededRng(1), log: silentLogger };
    const onDisk = (): readonly string[] => [
      ...openAssignments({ ...rest, onApplied: () => undefined })
        .applied()
        .tasks.keys(),
    ];
    return openAssignments({ ...rest, onApplied: (book, complete) => applied.push({ book, complete, onDisk: onDisk() }) });
  };
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'shoal-keeper-'));
    applied = [];
  });
  afterEach(() => {
    chmodSync(dataDir, 0o700);
    rmSync(dataDir, { recursive: true });
  });

  it('hands on only what is on disk', async () => {
    const keeper = open();
    keeper.takeSet({ epoch: epoch(1), assignments: [task('a')] }, 'c1');
    assert.equal(applied.length, 0);
    assert.equal(keeper.appliedEpoch(), undefined);
    await until(() => applied.length === 1, 'the set applied');
    assert.deepEqual(applied.at(0)?.onDisk, ['a']);
    assert.equal(applied.at(0)?.complete, true);
    assert.equal(keeper.appliedEpoch()?.revision, 1);
  });

  it('applies increments in quick succession on top of each other', async () => {
    const keeper = open();
    keeper.takeSet({ epoch: epoch(1), assignments: [] }, 'c1');
    for (let revision = 2; revision <= 20; revision++)
      assert.equal(
        keeper.takeDelta({ base: epoch(revision - 1), result: epoch(revision), put: [task(`t${revision}`)], removedTaskIds: [] }, 'c1'),
        true,
      );
    await until(() => keeper.appliedEpoch()?.revision === 20, 'all applied');
    assert.equal(applied.at(-1)?.book.tasks.size, 19);
    assert.ok(applied.length < 19, 'they share writes');
  });

  it('says that an increment leaves a gap', () => {
    assert.equal(open().takeDelta({ base: epoch(1), result: epoch(2), put: [], removedTaskIds: [] }, 'c1'), false);
  });

  it('after a restart has what it had, and is not complete until a manager said so', async () => {
    open().takeSet({ epoch: epoch(7), assignments: [task('a')] }, 'c1');
    await until(() => applied.length === 1, 'the set applied');
    const again = open();
    assert.equal(again.appliedEpoch()?.revision, 7);
    again.takeSet({ epoch: epoch(6), assignments: [] }, 'c1');
    assert.equal(again.takeDelta({ base: epoch(7), result: epoch(8), put: [], removedTaskIds: ['a'] }, 'c1'), true);
    await until(() => applied.length === 2, 'the increment applied');
    assert.equal(applied.at(1)?.complete, false);
    assert.equal(applied[1]?.book.tasks.size, 0);
  });

  it('leaves tasks alone when what is stored cannot be read', () => {
    writeFileSync(join(dataDir, 'assignments.bin'), Buffer.from([0xff, 0xff, 0xff]));
    assert.equal(open().appliedEpoch(), undefined);
  });
});
