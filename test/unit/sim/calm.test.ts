import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ManagerLiveness, Node, NodeState, NodeStatus } from '../../../proto/index.ts';
import { endsCalm } from '../../sim/truth/calm.ts';
import type { MirrorRow } from '../../sim/truth/mirror.ts';

function rowOf<T>(value: T, createRevision = 1): MirrorRow<T> {
  return { id: 'x', value, createRevision, modRevision: 9 };
}

describe('simulator: the calm that rebalancing by itself waits for', () => {
  it('begins anew with each leader, who counts from its own beginning, and not with what a leader writes again', () => {
    const [m1, m2] = [ManagerLiveness.create({ managerId: 'm1' }), ManagerLiveness.create({ managerId: 'm2' })];
    const change = { table: 'leader', id: '' } as const;
    assert.equal(endsCalm({ ...change, before: undefined, after: rowOf(m1) }), true);
    assert.equal(endsCalm({ ...change, before: rowOf(m1), after: rowOf(m2, 5) }), true);
    assert.equal(endsCalm({ ...change, before: rowOf(m1), after: rowOf(m1) }), false);
    assert.equal(endsCalm({ ...change, before: rowOf(m1), after: undefined }), false);
  });

  it('begins anew with nodes that come, go or are not what they were', () => {
    const ready = rowOf(NodeStatus.create({ state: NodeState.NODE_READY }));
    const change = { table: 'nodeStatus', id: 'n' } as const;
    assert.equal(endsCalm({ ...change, before: ready, after: rowOf({ ...ready.value, state: NodeState.NODE_DOWN }) }), true);
    assert.equal(endsCalm({ ...change, before: ready, after: rowOf({ ...ready.value, meshUnready: true }) }), false);
    assert.equal(endsCalm({ table: 'nodes', id: 'n', before: undefined, after: rowOf(Node.create({ id: 'n' })) }), true);
  });
});
