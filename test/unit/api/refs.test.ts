import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { nodeByRef, serviceByRef, servicesAndTasksByRefs, servicesByRefs, taskByRef, tasksByRefs } from '../../../manager/api/refs.ts';
import { nameId } from '../../../manager/state/index.ts';
import { Node, NodeDescription, NodeStatus, Service, Task } from '../../../proto/index.ts';
import { putRows, row, type RowWrite, stateWith } from '../../support/state-rows.ts';

function service(id: string, name: string): RowWrite[] {
  return [row('services', id, Service.create({ id, name })), row('byName', nameId('service', name), { objectId: id })];
}

function node(id: string, hostname: string): RowWrite[] {
  const description = NodeDescription.create({ hostname });
  return [row('nodes', id, Node.create({ id })), row('nodeStatus', id, NodeStatus.create({ nodeId: id, description }))];
}

function task(id: string, serviceId: string, more: Partial<Task> = {}): RowWrite {
  return row('tasks', id, Task.create({ id, serviceId, slot: 1, ...more }));
}

function failure(call: () => unknown): ShoalError {
  try {
    call();
  } catch (error) {
    return ShoalError.from(error);
  }
  return assert.fail('it was resolved');
}

describe('references', () => {
  const state = stateWith(
    ...service('abc1', 'web'),
    ...service('abd2', 'api.v2'),
    ...service('web9', 'abc'),
    ...node('n1', 'alpha'),
    ...node('n2', 'beta'),
    ...node('n3', 'twin'),
    ...node('n4', 'twin'),
    task('t1old', 'abc1'),
  );
  putRows(state, task('t1new', 'abc1', { replaces: 't1old' }), task('u2', 'abd2', { slot: 0, nodeId: 'n1' }));

  it('are a full id, an exact name, or a unique prefix of an id, in this order', () => {
    assert.equal(serviceByRef(state, 'abc1').id, 'abc1');
    assert.equal(serviceByRef(state, 'web').id, 'abc1');
    assert.equal(serviceByRef(state, 'abc').id, 'web9');
    assert.equal(serviceByRef(state, 'abd').id, 'abd2');
    assert.equal(nodeByRef(state, 'beta').id, 'n2');
  });

  it('are refused with the candidates where they stand for several', () => {
    const service = failure(() => serviceByRef(state, 'ab'));
    assert.equal(service.code, 'invalid_argument');
    assert.match(service.message, /"ab" is ambiguous.*web \(abc1\), api\.v2 \(abd2\)/);
    assert.match(failure(() => nodeByRef(state, 'twin')).message, /\(n3|n3 \(twin\)|twin/);
    assert.equal(failure(() => nodeByRef(state, 'n')).code, 'invalid_argument');
  });

  it('that are unknown are all named', () => {
    const error = failure(() => servicesByRefs(state, ['web', 'nope', 'nil', 'ab']));
    assert.equal(error.code, 'not_found');
    assert.match(error.message, /no such services: "nope", "nil"/);
  });

  it('never take the empty text for a prefix of everything', () => {
    assert.equal(failure(() => serviceByRef(state, '')).code, 'not_found');
    assert.equal(failure(() => tasksByRefs(state, [''])).code, 'not_found');
  });

  it('name the newest task of a slot, or the one whose id follows', () => {
    assert.equal(taskByRef(state, 'web.1').id, 't1new');
    assert.equal(taskByRef(state, 'web.1.t1old').id, 't1old');
    assert.equal(taskByRef(state, 'api.v2.n1').id, 'u2');
    assert.equal(taskByRef(state, 't1o').id, 't1old');
    assert.equal(failure(() => taskByRef(state, 'web.7')).code, 'not_found');
  });

  it('may name services and tasks together', () => {
    const { services, tasks } = servicesAndTasksByRefs(state, ['web', 'u2', 'web']);
    assert.deepEqual([services.map((found) => found.id), tasks.map((found) => found.id)], [['abc1'], ['u2']]);
    assert.match(failure(() => servicesAndTasksByRefs(state, ['x', 'web', 'y'])).message, /"x", "y"/);
  });
});
