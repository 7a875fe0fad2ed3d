import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import {
  IngressSettings,
  keyOfRoute,
  type PortKey,
  portKeyOf,
  type PortRoute,
  RouteTable,
  RouteTableDelta,
  type RouteTarget,
  TargetState,
} from '../../../proto/index.ts';
import { applyDelta, fromMessage, type Table, toMessage } from '../../../mesh/table/table.ts';
import { epochOf, routeOf, targetOf } from '../../support/routes.ts';

const target: fc.Arbitrary<RouteTarget> = fc
  .record({ task: fc.integer({ min: 0, max: 5 }), port: fc.integer({ min: 1, max: 3 }), drain: fc.boolean() })
  .map(({ task, port, drain }) =>
    targetOf(`task-${task}`, port, { state: drain ? TargetState.TARGET_DRAINING : TargetState.TARGET_ACTIVE }),
  );
const targets = fc.uniqueArray(target, { maxLength: 5, selector: (each) => each.taskId });
const route: fc.Arbitrary<PortRoute> = fc
  .record({ port: fc.integer({ min: 80, max: 84 }), protocol: fc.constantFrom(0, 1, 2), targets, idle: fc.option(fc.constant(9)) })
  .map(({ port, protocol, targets: all, idle }) =>
    routeOf(port, all, {
      protocol: protocol as 0,
      ...(idle === null ? {} : { settings: IngressSettings.create({ idleTimeoutMs: idle }) }),
    }),
  );
const ports = fc.uniqueArray(route, { maxLength: 6, selector: (port) => portKeyOf(keyOfRoute(port)) });

/** What a manager sends. `whole` replaces ports where it could name targets. */
function deltaBetween(before: Table, after: Table, whole: boolean): RouteTableDelta {
  const putPorts: PortRoute[] = [];
  const removedPorts: PortKey[] = [];
  const putTargets: { readonly port: PortKey; readonly target: RouteTarget }[] = [];
  const removedTargets: { readonly port: PortKey; readonly taskId: string }[] = [];
  for (const [key, port] of before.ports) if (!after.ports.has(key)) removedPorts.push(keyOfRoute(port));
  for (const [key, port] of after.ports) {
    const old = before.ports.get(key);
    if (old === undefined || whole || !isDeepStrictEqual(old.settings, port.settings)) {
      putPorts.push(port);
      continue;
    }
    const oldTargets = new Map(old.targets.map((each) => [each.taskId, each]));
    for (const each of port.targets) {
      if (!isDeepStrictEqual(oldTargets.get(each.taskId), each)) putTargets.push({ port: keyOfRoute(port), target: each });
      oldTargets.delete(each.taskId);
    }
    for (const taskId of oldTargets.keys()) removedTargets.push({ port: keyOfRoute(port), taskId });
  }
  return RouteTableDelta.create({ base: before.epoch, result: after.epoch, putPorts, removedPorts, putTargets, removedTargets });
}

/** Targets in one order: a table is a set of them. */
function canonical(table: Table): RouteTable {
  const message = toMessage(table);
  return {
    ...message,
    ports: message.ports.map((port) => ({ ...port, targets: [...port.targets].sort((a, b) => a.taskId.localeCompare(b.taskId)) })),
  };
}

describe('route table deltas', () => {
  it('applied one after the other give the same table as the last whole one', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(ports, fc.boolean()), { minLength: 2, maxLength: 6 }), (versions) => {
        const tables = versions.map(([version], index) => {
          const table = fromMessage(RouteTable.create({ epoch: epochOf(index * 10 + 1), ports: version }));
          assert.ok(table);
          return table;
        });
        let current = tables[0];
        for (const [index, next] of tables.entries()) {
          if (index === 0 || current === undefined) continue;
          const before = canonical(current);
          const delta = deltaBetween(current, next, versions[index]?.[1] ?? false);
          // What is sent is what comes out of the codec.
          const outcome = applyDelta(current, RouteTableDelta.decode(RouteTableDelta.encode(delta)), 'cluster-a');
          assert.ok(outcome.kind === 'changed');
          assert.deepEqual(canonical(outcome.table), canonical(next));
          assert.deepEqual(canonical(current), before, 'the table it stood on is as it was');
          assert.equal(applyDelta(outcome.table, delta, 'cluster-a').kind, 'unchanged');
          current = outcome.table;
        }
      }),
    );
  });

  it('survive being written and read', () => {
    fc.assert(
      fc.property(ports, (version) => {
        const message = RouteTable.create({ epoch: epochOf(3), ports: version });
        assert.deepEqual(RouteTable.decode(RouteTable.encode(message)), message);
      }),
    );
  });
});
