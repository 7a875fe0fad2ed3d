import assert from 'node:assert/strict';
import { type RelayTarget, type RouteRelay, routeRelay } from '../../../agent/mesh/route-relay.ts';
import { type Epoch, PortProblem } from '../../../proto/index.ts';

const epoch = (revision: number, clusterId = 'c1'): Epoch => ({ clusterId, incarnation: 'i', incarnationNumber: 1, revision });
const bytes = (text: string): Uint8Array => Buffer.from(text);

function mesh(): RelayTarget & { readonly sent: string[]; full: boolean } {
  const target = {
    sent: [] as string[],
    full: false,
    sendTable(table: Uint8Array) {
      if (!target.full) target.sent.push(`table ${Buffer.from(table).toString()}`);
      return !target.full;
    },
    sendDelta(delta: Uint8Array) {
      if (!target.full) target.sent.push(`delta ${Buffer.from(delta).toString()}`);
      return !target.full;
    },
    sendEnded(taskIds: readonly string[]) {
      target.sent.push(`ended ${taskIds.join(' ')}`);
    },
  };
  return target;
}

describe('route relay', () => {
  let relay: RouteRelay;
  beforeEach(() => {
    relay = routeRelay();
  });

  it('passes a table and its increments on', () => {
    const target = mesh();
    relay.up(target, undefined);
    assert.equal(relay.table(epoch(1), bytes('1'), 'c1').kind, 'passed');
    assert.equal(relay.delta(epoch(1), epoch(3), bytes('3'), 'c1').kind, 'passed');
    assert.deepEqual(target.sent, ['table 1', 'delta 3']);
  });

  it('tells the mesh which tasks of the node have ended, at once, and each mesh that comes later before its table', () => {
    const target = mesh();
    relay.up(target, epoch(1));
    relay.ended(['a']);
    relay.ended(['a', 'b']);
    assert.deepEqual(target.sent, ['ended a', 'ended a b']);
    relay.down();
    relay.table(epoch(2), bytes('2'), 'c1');
    const next = mesh();
    relay.up(next, epoch(1));
    assert.deepEqual(next.sent, ['ended a b', 'table 2']);
  });

  it('goes on from what the mesh has on disk', () => {
    const target = mesh();
    relay.up(target, epoch(5));
    assert.equal(relay.delta(epoch(5), epoch(6), bytes('6'), 'c1').kind, 'passed');
  });

  it('refuses older tables and those of another cluster', () => {
    relay.up(mesh(), epoch(5));
    assert.equal(relay.table(epoch(4), bytes('4'), 'c1').kind, 'refused');
    assert.equal(relay.delta(epoch(3), epoch(4), bytes('4'), 'c1').kind, 'refused');
    assert.equal(relay.table(epoch(9, 'c2'), bytes('9'), 'c1').kind, 'refused');
  });

  it('sees a gap', () => {
    relay.up(mesh(), epoch(5));
    assert.equal(relay.delta(epoch(6), epoch(7), bytes('7'), 'c1').kind, 'gap');
  });

  it('holds one table while the mesh is not up', () => {
    assert.equal(relay.table(epoch(1), bytes('1'), 'c1').kind, 'held');
    const target = mesh();
    assert.equal(relay.up(target, undefined).kind, 'passed');
    assert.deepEqual(target.sent, ['table 1']);
  });

  it('asks for the table again when increments came while the mesh was not up', () => {
    const target = mesh();
    relay.up(target, epoch(1));
    relay.down();
    assert.equal(relay.delta(epoch(1), epoch(2), bytes('2'), 'c1').kind, 'held');
    assert.equal(relay.up(mesh(), epoch(1)).kind, 'gap');
    assert.equal(relay.table(epoch(2), bytes('2'), 'c1').kind, 'passed');
  });

  it('asks for the table again when the mesh did not take one', () => {
    const target = mesh();
    relay.up(target, epoch(1));
    target.full = true;
    assert.equal(relay.delta(epoch(1), epoch(2), bytes('2'), 'c1').kind, 'gap');
    target.full = false;
    assert.equal(relay.table(epoch(2), bytes('2'), 'c1').kind, 'passed');
  });

  it('keeps what a mesh says as its first word, before it is known to be up, and its problems end with it', () => {
    const problem = PortProblem.create({ publishedPort: 8080, message: 'something else listens there' });
    relay.portProblems([problem]);
    relay.idle({ epoch: epoch(2), idleTaskIds: ['t1'] });
    relay.up(mesh(), epoch(2));
    assert.deepEqual([relay.report().portProblems, relay.report().idleTaskIds], [[problem], ['t1']]);
    relay.down();
    assert.deepEqual([relay.report().portProblems, relay.report().idleTaskIds], [[], ['t1']]);
  });

  it('reports idle targets only under an epoch that is acknowledged', () => {
    relay.up(mesh(), epoch(1));
    relay.idle({ epoch: epoch(2), idleTaskIds: ['t1'] });
    assert.deepEqual(relay.report().idleTaskIds, []);
    relay.acknowledged(epoch(2));
    assert.deepEqual(relay.report(), { ack: epoch(2), idleTaskIds: ['t1'], portProblems: [], meshUp: true });
    relay.acknowledged(epoch(3));
    assert.deepEqual(relay.report().idleTaskIds, ['t1']);
    relay.down();
    assert.equal(relay.report().meshUp, false);
  });
});
