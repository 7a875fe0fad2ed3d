import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { changeAnswer } from '../../../manager/api/services/change-answer.ts';
import { specId } from '../../../manager/state/index.ts';
import { Service, ServiceStatus, StoredSpec } from '../../../proto/index.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, stateWith } from '../../support/state-rows.ts';

const ID = 'svc';

describe('the answer to a change of a service', () => {
  it('names the spec that was stored, also when the leader has left it by then', () => {
    const spec = (number: number, replicas: number) =>
      row('specs', specId(ID, number), StoredSpec.create({ serviceId: ID, number, spec: specOf({ spec: { name: 'web', replicas } }) }));
    const state = stateWith(
      row('services', ID, Service.create({ id: ID, name: 'web', specNumber: 2 })),
      ...[spec(1, 1), spec(2, 2)],
      row('serviceStatus', ID, ServiceStatus.create({ serviceId: ID, activeSpecNumber: 1, seenSpecNumber: 2 })),
    );
    const before = state.get('services', ID) ?? assert.fail('no service');
    const { service, specNumber, revision, warnings } = changeAnswer(state, { row: before, specNumber: 2 }, 9, ['look']);
    assert.deepEqual([specNumber, service?.specNumber, service?.spec?.replicas], [2, 1, 1]);
    assert.deepEqual([revision, warnings], [9, ['look']]);
  });
});
