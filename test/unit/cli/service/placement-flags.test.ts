import assert from 'node:assert/strict';
import { type FlagValues } from '../../../../cli/service/spec/flag-reader.ts';
import { createSpec, updateSpec } from '../../../support/flag-specs.ts';
import { ShoalError } from '../../../../lib/errors.ts';
import type { ServiceSpec } from '../../../../proto/index.ts';

const HERE = { env: {}, cwd: '/' };

function create(flags: FlagValues): ServiceSpec {
  return createSpec('nginx', [], { name: 'web', ...flags }, HERE, () => '');
}

function problemsOf(call: () => unknown): readonly string[] {
  try {
    call();
  } catch (thrown) {
    return ShoalError.from(thrown).fields.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

const BEFORE = create({
  placementPref: ['spread=node.labels.dc', 'affinity=service:db,weight=20', 'anti-affinity=node.labels.disk in (hdd, tape)'],
  genericResource: ['gpu=2', 'licence=1'],
  priority: '-3',
});

describe('flags of placement', () => {
  it('take preferences: spread, affinity and anti-affinity, with weights', () => {
    const { placement } = BEFORE.task ?? assert.fail();
    assert.deepEqual(placement?.spread, ['node.labels.dc']);
    assert.deepEqual(placement.affinities, [
      { target: 'service:db', weight: 20 },
      { target: 'node.labels.disk in (hdd, tape)', weight: -50 },
    ]);
    assert.equal(placement.priority, -3);
  });

  it('add and remove preferences in their place', () => {
    const after = updateSpec(
      BEFORE,
      {
        placementPrefAdd: ['spread=node.labels.rack', 'affinity=service:db'],
        placementPrefRm: ['spread=node.labels.dc', 'anti-affinity=node.labels.disk in (hdd, tape)'],
      },
      HERE,
    );
    assert.deepEqual(after.task?.placement?.spread, ['node.labels.rack']);
    assert.deepEqual(after.task.placement.affinities, [{ target: 'service:db', weight: 50 }]);
  });

  it('take generic resources, and change them by kind', () => {
    const kinds = (spec: ServiceSpec): readonly unknown[] | undefined =>
      spec.task?.genericReservations.map(({ kind, count }) => `${kind}=${String(count)}`);
    assert.deepEqual(kinds(BEFORE), ['gpu=2', 'licence=1']);
    assert.deepEqual(kinds(updateSpec(BEFORE, { genericResourceAdd: ['gpu=1', 'fpga=1'], genericResourceRm: ['licence'] }, HERE)), [
      'gpu=1',
      'fpga=1',
    ]);
  });

  it('take every form of constraint, and leave what it means to the manager', () => {
    const constraint = ['node.labels.zone in (a, b)', ' node.labels.x exists || node.role == manager', 'node.labels.y == "a||b"'];
    assert.deepEqual(create({ constraint }).task?.placement?.constraints, [
      'node.labels.zone in (a, b)',
      'node.labels.x exists || node.role == manager',
      'node.labels.y == "a||b"',
    ]);
  });

  it('refuse what cannot be meant', () => {
    const wrong = problemsOf(() =>
      create({
        placementPref: [
          'node.labels.dc',
          'spread=',
          'affinity=,weight=5',
          'affinity=service:db,weight=101',
          'affinity=service:db,weight=x',
        ],
        genericResource: ['gpu', 'gpu=0', 'gpu=uuid1'],
        priority: 'high',
        constraint: ['node.role'],
      }),
    );
    assert.deepEqual(
      wrong.map((problem) => problem.replace(/:.*/, '')),
      [...Array<string>(3).fill('--generic-resource'), ...Array<string>(5).fill('--placement-pref'), '--constraint', '--priority'],
    );
    assert.match(wrong[3] ?? '', /is not spread=KEY, affinity=TARGET/);
  });
});
