import assert from 'node:assert/strict';
import { IngressSettings, PortProtocol, RouteTableDelta } from '../../../proto/index.ts';
import { diffTables } from '../../../mesh/table/diff.ts';
import { applyDelta, applyTable, fromMessage, type Outcome, type Table, toMessage, withoutTasks } from '../../../mesh/table/table.ts';
import { draining, epochOf, routeOf, tableOf, targetOf } from '../../support/routes.ts';

function held(revision: number, ports = [routeOf(80, [targetOf('a', 1001), targetOf('b', 1002)])]): Table {
  const table = fromMessage(tableOf(revision, ports));
  assert.ok(table);
  return table;
}

function changed(outcome: Outcome): Table {
  assert.equal(outcome.kind, 'changed');
  assert.ok('table' in outcome);
  return outcome.table;
}

function delta(base: number, result: number, more: Partial<RouteTableDelta> = {}): RouteTableDelta {
  return RouteTableDelta.create({ base: epochOf(base), result: epochOf(result), ...more });
}

const TCP_80 = { protocol: PortProtocol.TCP, publishedPort: 80, host: '', path: '' };

describe('route table', () => {
  it('takes a first table, and a newer one', () => {
    const first = changed(applyTable(undefined, tableOf(5, []), ''));
    assert.equal(changed(applyTable(first, tableOf(9, []), '')).epoch.revision, 9);
  });

  it('knows the table it has', () => {
    assert.equal(applyTable(held(5), tableOf(5, []), '').kind, 'unchanged');
    assert.equal(applyDelta(held(5), delta(4, 5), '').kind, 'unchanged');
  });

  it('leaves out what has ended, but for what drains to its end; other ports stay what they are', () => {
    const table = held(5, [
      routeOf(80, [targetOf('a', 1001), targetOf('b', 1002)]),
      routeOf(81, [draining(targetOf('a', 1003))]),
      routeOf(82, [targetOf('b', 1004)]),
    ]);
    const rest = withoutTasks(table, new Set(['a', 'gone']));
    assert.deepEqual(
      [...rest.ports.values()].map(({ targets }) => targets.map(({ taskId }) => taskId)),
      [['b'], ['a'], ['b']],
    );
    for (const [key, route] of rest.ports) assert.equal(route === table.ports.get(key), route.publishedPort !== 80);
    assert.equal(rest.epoch, table.epoch);
  });

  it('refuses an older revision, saying that the sender lags', () => {
    const outcome = applyTable(held(5), tableOf(4, []), '');
    assert.equal(outcome.kind, 'refused');
    assert.ok('error' in outcome && outcome.error.code === 'conflict' && /lags behind/.test(outcome.error.message));
    assert.equal(applyDelta(held(5), delta(3, 4), '').kind, 'refused');
  });

  it('takes a lower revision of a newer incarnation, and refuses an older incarnation with a higher revision', () => {
    const restored = { ...tableOf(2, []), epoch: epochOf(2, { incarnation: 'second', incarnationNumber: 2 }) };
    const table = changed(applyTable(held(5), restored, ''));
    assert.equal(applyTable(table, tableOf(99, []), '').kind, 'refused');
  });

  it('takes another incarnation of the same number: a backup restored twice', () => {
    const other = { ...tableOf(2, []), epoch: epochOf(2, { incarnation: 'other' }) };
    assert.equal(applyTable(held(5), other, '').kind, 'changed');
  });

  it('refuses another cluster, by its table or by what the agent said', () => {
    const foreign = { ...tableOf(9, []), epoch: epochOf(9, { clusterId: 'cluster-b', incarnationNumber: 7 }) };
    for (const outcome of [applyTable(held(5), foreign, ''), applyTable(undefined, foreign, 'cluster-a')]) {
      assert.ok(outcome.kind === 'refused' && outcome.error.code === 'permission_denied');
    }
  });

  it('refuses a table without an epoch', () => {
    assert.equal(applyTable(undefined, { epoch: undefined, ports: [] }, '').kind, 'refused');
    assert.equal(applyDelta(held(5), { ...delta(5, 6), base: undefined }, '').kind, 'refused');
  });

  it('asks for the whole table where a delta stands on another base, or on none', () => {
    assert.equal(applyDelta(held(5), delta(4, 6), '').kind, 'gap');
    assert.equal(applyDelta(undefined, delta(4, 6), '').kind, 'gap');
    const second = { incarnation: 'second', incarnationNumber: 2 };
    const restored = { ...delta(5, 1), base: epochOf(0, second), result: epochOf(1, second) };

    assert.equal(applyDelta(held(5), restored, '').kind, 'gap');
  });

  it('asks for the whole table where a delta changes targets of a port it does not have', () => {
    const put = { port: { ...TCP_80, publishedPort: 81 }, target: targetOf('c', 1003) };
    assert.equal(applyDelta(held(5), delta(5, 6, { putTargets: [put] }), '').kind, 'gap');
    const removal = { port: put.port, taskId: 'a' };
    assert.equal(applyDelta(held(5), delta(5, 6, { removedTargets: [removal] }), '').kind, 'gap');
  });

  it('puts, drains and removes targets, and leaves the table it stood on alone', () => {
    const before = held(5);
    const after = changed(
      applyDelta(
        before,
        delta(5, 6, {
          putTargets: [
            { port: TCP_80, target: targetOf('c', 1003) },
            { port: TCP_80, target: draining(targetOf('b', 1002)) },
          ],
          removedTargets: [{ port: TCP_80, taskId: 'a' }],
        }),
        '',
      ),
    );
    assert.deepEqual(after.ports.get('0/80')?.targets, [draining(targetOf('b', 1002)), targetOf('c', 1003)]);
    assert.deepEqual(toMessage(before), tableOf(5, [routeOf(80, [targetOf('a', 1001), targetOf('b', 1002)])]));
  });

  it('replaces a port with its targets, and removes one', () => {
    const before = held(5, [routeOf(80, [targetOf('a', 1001)]), routeOf(81, [])]);
    const after = changed(
      applyDelta(
        before,
        delta(5, 6, {
          putPorts: [routeOf(80, [targetOf('z', 1009)], { settings: IngressSettings.create({ idleTimeoutMs: 7 }) })],
          removedPorts: [{ ...TCP_80, publishedPort: 81 }],
        }),
        '',
      ),
    );
    assert.deepEqual(toMessage(after).ports, [
      routeOf(80, [targetOf('z', 1009)], { settings: IngressSettings.create({ idleTimeoutMs: 7 }) }),
    ]);
  });

  it('names only the ports that differ', () => {
    const before = held(5, [routeOf(80, [targetOf('a', 1)]), routeOf(81, []), routeOf(82, [])]);
    const after = held(6, [routeOf(80, [targetOf('a', 1)]), routeOf(81, [targetOf('b', 2)]), routeOf(83, [])]);
    const diff = diffTables(before, after);
    const ports = (routes: readonly { readonly publishedPort: number }[]): number[] => routes.map((route) => route.publishedPort);
    assert.deepEqual([ports(diff.added), ports(diff.changed), ports(diff.removed)], [[83], [81], [82]]);
    assert.deepEqual(ports(diffTables(undefined, after).added), [80, 81, 83]);
  });
});
