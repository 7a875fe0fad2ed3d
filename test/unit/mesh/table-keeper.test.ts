import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { seededRng } from '../../../lib/rng.ts';
import { RouteTableDelta } from '../../../proto/index.ts';
import { TableKeeper } from '../../../mesh/table/keeper.ts';
import { fromMessage } from '../../../mesh/table/table.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { epochOf, tableOf } from '../../support/routes.ts';

/** A keeper whose saves end when the test says so. */
function setUp(initialRevision?: number) {
  const clock = manualClock();
  const steps: string[] = [];
  const saves: { readonly done: () => void; readonly fail: (error: Error) => void }[] = [];
  const keeper = new TableKeeper({
    clock,
    rng: seededRng(1),
    initial: initialRevision === undefined ? undefined : fromMessage(tableOf(initialRevision, [])),
    save: (table) =>
      new Promise((resolve, reject) => {
        steps.push(`save ${table.epoch.revision}`);
        saves.push({ done: resolve, fail: reject });
      }),
    serve: (table) => {
      steps.push(`serve ${table.epoch.revision}`);
      return Promise.resolve();
    },
    acknowledge: (epoch) => steps.push(`ack ${epoch.revision}`),
    needFull: (epoch) => steps.push(`need full, have ${epoch?.revision ?? 'none'}`),
    fail: (error) => steps.push(`fail ${error.code}`),
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  const finishSave = async (error?: Error): Promise<void> => {
    const save = saves.shift();
    assert.ok(save, 'a save is under way');
    if (error === undefined) save.done();
    else save.fail(error);
    await settle();
  };
  return { clock, steps, keeper, finishSave, settle };
}

function delta(base: number, result: number): RouteTableDelta {
  return RouteTableDelta.create({ base: epochOf(base), result: epochOf(result) });
}

describe('table keeper', () => {
  it('saves, then serves, then acknowledges', async () => {
    const { steps, keeper, finishSave, settle } = setUp();
    keeper.receiveTable(tableOf(5, []));
    await settle();
    assert.deepEqual(steps, ['save 5']);
    assert.deepEqual([keeper.epoch], [undefined]);
    await finishSave();
    assert.deepEqual(steps, ['save 5', 'serve 5', 'ack 5']);
    assert.equal(keeper.epoch?.revision, 5);
  });

  it('folds what comes during a save into one more save', async () => {
    const { steps, keeper, finishSave } = setUp(5);
    for (let revision = 5; revision < 105; revision++) keeper.receiveDelta(delta(revision, revision + 1));
    await finishSave();
    await finishSave();
    assert.deepEqual(steps, ['save 6', 'serve 6', 'ack 6', 'save 105', 'serve 105', 'ack 105']);
  });

  it('acknowledges what it has already, but not before it is on disk', async () => {
    const { steps, keeper, finishSave } = setUp(5);
    keeper.receiveTable(tableOf(5, []));
    keeper.receiveTable(tableOf(6, []));
    keeper.receiveTable(tableOf(6, []));
    assert.deepEqual(steps, ['ack 5', 'save 6']);
    await finishSave();
    assert.deepEqual(steps.slice(2), ['serve 6', 'ack 6']);
  });

  it('asks for the whole table after a gap, and refuses an older one', () => {
    const { steps, keeper } = setUp(5);
    keeper.receiveDelta(delta(7, 8));
    keeper.receiveTable(tableOf(4, []));
    assert.deepEqual(steps, ['need full, have 5', 'fail conflict']);
  });

  it('serves but does not acknowledge what cannot be saved, says so, and goes on trying', async () => {
    const { clock, steps, keeper, finishSave, settle } = setUp(5);
    keeper.receiveTable(tableOf(6, []));
    await finishSave(new ShoalError('resource_exhausted', 'the disk is full'));
    assert.deepEqual(steps, ['save 6', 'fail resource_exhausted', 'serve 6']);
    assert.deepEqual([keeper.epoch?.revision, keeper.acknowledgedEpoch?.revision], [6, 5]);
    clock.advance(1000);
    await settle();
    await finishSave();
    assert.deepEqual(steps.slice(3), ['save 6', 'ack 6']);
  });

  it('does not let a failing disk delay a newer table', async () => {
    const { steps, keeper, finishSave, settle } = setUp(5);
    keeper.receiveTable(tableOf(6, []));
    await finishSave(new ShoalError('resource_exhausted', 'the disk is full'));
    keeper.receiveTable(tableOf(7, []));
    await settle();
    await finishSave(new ShoalError('resource_exhausted', 'the disk is full'));
    assert.deepEqual(steps.slice(3), ['save 7', 'fail resource_exhausted', 'serve 7']);
    await keeper.stop();
  });

  it('serves one cluster only', () => {
    const { keeper } = setUp(5);
    keeper.joinCluster('');
    keeper.joinCluster('cluster-a');
    assert.throws(
      () => {
        keeper.joinCluster('cluster-b');
      },
      (error: ShoalError) => error.code === 'permission_denied',
    );
  });
});
