import assert from 'node:assert/strict';
import { NodeWatchBook } from '../../../manager/leader/node-watch.ts';
import { type ClusterState, isHeld } from '../../../manager/state/index.ts';
import {
  Cluster,
  ClusterSettings,
  type Event,
  HoldReason,
  Node,
  NodeSession,
  NodeState,
  NodeStatus,
  type NodeWatch,
} from '../../../proto/index.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { putRows, row, type RowWrite, stateWith } from '../../support/state-rows.ts';

const nodeRows = (id: string, state: NodeState = NodeState.NODE_READY, silent = false, nonce = `${id}-1`): RowWrite[] => [
  row('nodes', id, Node.create({ id })),
  row('sessions', id, NodeSession.create({ nodeId: id, nonce })),
  row('nodeStatus', id, NodeStatus.create({ nodeId: id, state, silent })),
];
const settings = (fields: Partial<ClusterSettings>): RowWrite =>
  row('cluster', '', Cluster.create({ settings: ClusterSettings.create(fields) }));

describe('the watch over nodes', () => {
  let clock: ManualClock;
  let state: ClusterState;
  let book: NodeWatchBook;
  let events: Event[];

  function begin(...rows: readonly RowWrite[]): void {
    clock = manualClock(1000);
    state = stateWith(...rows);
    events = [];
    lead();
  }

  /** A leader that takes over. */
  function lead(): void {
    book = new NodeWatchBook(state, clock);
    const mine = book;
    state.subscribe((changes) => {
      mine.note(changes);
    });
    settle();
  }

  /** What the loop does: writes what is planned until nothing is. */
  function settle(): void {
    for (let group = book.plan(); group !== undefined; group = book.plan()) {
      events.push(...group.events);
      for (const write of group.writes) if (write.kind === 'put') putRows(state, row('nodeWatch', '', write.value as NodeWatch));
    }
  }

  function set(...rows: readonly RowWrite[]): void {
    putRows(state, ...rows);
    settle();
  }

  function pass(ms: number): void {
    clock.advance(ms);
    settle();
  }

  const held = (): readonly string[] => state.get('nodeWatch', '')?.value.held.map((node) => node.nodeId) ?? [];
  const unsettled = (): readonly string[] => state.get('nodeWatch', '')?.value.unsettled.map((node) => node.nodeId) ?? [];
  const DOWN = NodeState.NODE_DOWN;
  const READY = NodeState.NODE_READY;

  it('holds nothing against one lost node of three', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    set(...nodeRows('a', DOWN, true));
    assert.deepEqual(held(), []);
    assert.equal(isHeld(state, 'a'), false);
    // Once more, to note that it went too long ago to be part of what follows.
    pass(11_000);
    assert.equal(book.wakeAtMs, undefined);
  });

  it('holds the first one that is down already where others are quiet with it, for a minute', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    set(...nodeRows('b', READY, true));
    set(...nodeRows('a', DOWN, true));
    assert.deepEqual(held(), ['a']);
    pass(900);
    set(...nodeRows('b', DOWN, true));
    assert.deepEqual(held(), ['a', 'b']);
    assert.ok(isHeld(state, 'a') && isHeld(state, 'b'));
    assert.deepEqual(
      events.map(({ action, objectId }) => `${action} ${objectId}`),
      ['hold a', 'hold b'],
    );
    pass(59_000);
    assert.deepEqual(held(), ['a', 'b']);
    pass(200);
    assert.deepEqual(held(), []);
    assert.deepEqual(
      events.slice(2).map(({ action, objectId }) => `${action} ${objectId}`),
      ['evict a', 'evict b'],
    );
    // Once evicted they are not held again, whoever else goes.
    set(...nodeRows('c', DOWN, true));
    assert.deepEqual(held(), []);
  });

  it('holds also the first one, where most others go before its eviction is stored', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    putRows(state, ...nodeRows('a', DOWN));
    const write = book.plan()?.writes[0];
    assert.ok(write?.kind === 'put');
    assert.deepEqual(
      (write.value as NodeWatch).evicted.map(({ nodeId }) => nodeId),
      ['a'],
    );
    // The store did not take it.
    book.retry();
    set(...nodeRows('b', DOWN));
    assert.deepEqual(held(), ['a', 'b']);
  });

  it('does not hold back two nodes that went down minutes apart, nor two of two', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    set(...nodeRows('a', DOWN));
    pass(120_000);
    set(...nodeRows('b', DOWN));
    assert.deepEqual(held(), []);
    begin(...nodeRows('a'), ...nodeRows('b'));
    set(...nodeRows('a', DOWN), ...nodeRows('b', DOWN));
    assert.deepEqual(held(), []);
  });

  it('keeps its hold over the last ones while most are back already, for they are likely to follow', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'), ...nodeRows('d'));
    set(...nodeRows('a', DOWN), ...nodeRows('b', DOWN), ...nodeRows('c', DOWN));
    assert.deepEqual(held(), ['a', 'b', 'c']);
    pass(5000);
    set(...nodeRows('a', READY, false, 'a-2'), ...nodeRows('b', READY, false, 'b-2'));
    assert.deepEqual(held(), ['c']);
    // It is no part of that loss.
    set(...nodeRows('d', DOWN));
    assert.deepEqual(held(), ['c']);
    lead();
    pass(59_000);
    assert.ok(isHeld(state, 'c'));
    pass(1000);
    assert.deepEqual(held(), []);
    assert.equal(isHeld(state, 'c'), false);
  });

  it('holds whoever is lost with most others for the whole time, also when a loss follows on another', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    set(...nodeRows('a', DOWN), ...nodeRows('b', DOWN), ...nodeRows('c', DOWN));
    pass(5000);
    set(...nodeRows('a', READY), ...nodeRows('b', READY));
    pass(3000);
    set(...nodeRows('b', DOWN));
    assert.deepEqual(held(), ['b', 'c']);
    pass(52_000);
    assert.deepEqual(held(), ['b'], 'the first hold is over, the second one is not');
    pass(8000);
    assert.deepEqual(held(), []);
  });

  it('goes by the settings: another share, another hold, or none', () => {
    begin(settings({ massLossPercent: 30, massLossHoldMs: 10_000 }), ...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    set(...nodeRows('a', DOWN));
    assert.deepEqual(held(), ['a']);
    pass(10_000);
    assert.deepEqual(held(), []);
    begin(settings({ massLossHoldMs: 0 }), ...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    set(...nodeRows('a', DOWN), ...nodeRows('b', DOWN));
    assert.deepEqual(held(), []);
  });

  it('waits for the eviction delay, which ends at once for a node that is evicted by hand', () => {
    begin(settings({ evictionDelayMs: 20_000 }), ...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'), ...nodeRows('d'));
    set(...nodeRows('a', DOWN));
    assert.equal(state.get('nodeWatch', '')?.value.held[0]?.reason, HoldReason.HOLD_DELAY);
    set(...nodeRows('b', DOWN));
    set(row('nodes', 'a', Node.create({ id: 'a', evictedNonce: 'a-1' })));
    assert.deepEqual(held(), ['b']);
    assert.equal(isHeld(state, 'a'), false);
    pass(20_000);
    assert.deepEqual(held(), []);
  });

  it('counts to a mass loss those that were evicted just before the others fell silent, but none that is long gone', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'), ...nodeRows('d'));
    set(...nodeRows('a', DOWN));
    assert.deepEqual(held(), []);
    pass(3000);
    set(...nodeRows('b', DOWN));
    pass(1000);
    set(...nodeRows('c', DOWN));
    assert.deepEqual(held(), ['c']);
    pass(59_000);
    assert.deepEqual(held(), ['c']);
    pass(1000);
    assert.deepEqual(held(), []);
    set(...nodeRows('b'), ...nodeRows('c'));
    pass(20_000);
    lead();
    set(...nodeRows('b', DOWN));
    assert.deepEqual(held(), []);
  });

  it('counts to a mass loss what the leader before evicted just before, but nothing of longer ago', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    set(...nodeRows('a', DOWN));
    pass(4000);
    putRows(state, ...nodeRows('b', DOWN));
    lead();
    assert.deepEqual(held(), ['b']);
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    set(...nodeRows('a', DOWN));
    pass(11_000);
    putRows(state, ...nodeRows('b', DOWN));
    lead();
    assert.deepEqual(held(), []);
  });

  it('still holds a node that is back with another agent, while its row says down', () => {
    begin(settings({ evictionDelayMs: 20_000 }), ...nodeRows('a'));
    set(...nodeRows('a', DOWN));
    set(row('sessions', 'a', NodeSession.create({ nodeId: 'a', nonce: 'a-2' })));
    assert.equal(isHeld(state, 'a'), true);
  });

  it('takes an order to evict for the session that it was given for, and for no later one', () => {
    begin(settings({ evictionDelayMs: 20_000 }), ...nodeRows('a'), row('nodes', 'a', Node.create({ id: 'a', evictedNonce: 'a-0' })));
    set(row('nodeStatus', 'a', NodeStatus.create({ nodeId: 'a', state: DOWN })));
    assert.equal(isHeld(state, 'a'), true);
  });

  it('is taken over by the next leader, whose time begins anew; what was evicted stays so', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'), ...nodeRows('old', DOWN));
    set(...nodeRows('a', DOWN), ...nodeRows('b', DOWN));
    pass(50_000);
    lead();
    assert.deepEqual(held(), ['a', 'b']);
    pass(59_000);
    assert.deepEqual(held(), ['a', 'b']);
    pass(1000);
    assert.deepEqual(held(), []);
  });

  it('gives nothing new to a node that came back three times, the longer the oftener, until it has stayed', () => {
    begin(...nodeRows('a'), ...nodeRows('b'), ...nodeRows('c'));
    const flap = (): void => {
      set(...nodeRows('a', DOWN));
      pass(10_000);
      set(...nodeRows('a', READY));
    };
    flap();
    flap();
    assert.deepEqual(unsettled(), []);
    flap();
    assert.deepEqual(unsettled(), ['a']);
    pass(29_000);
    assert.deepEqual(unsettled(), ['a']);
    pass(1000);
    assert.deepEqual(unsettled(), []);
    flap();
    pass(59_000);
    assert.deepEqual(unsettled(), ['a']);
    lead();
    pass(59_000);
    assert.deepEqual(unsettled(), ['a']);
    pass(1000);
    assert.deepEqual(unsettled(), []);
    assert.equal(events.filter(({ action }) => action === 'unsettled').length, 2);
  });

  it('holds a mass loss that happened while nobody led, and evicts anew nobody whom an earlier leader has evicted', () => {
    begin(
      ...nodeRows('a', NodeState.NODE_DOWN),
      ...nodeRows('b', NodeState.NODE_DOWN),
      ...nodeRows('c', NodeState.NODE_DOWN),
      ...nodeRows('d'),
    );
    assert.deepEqual(held(), ['a', 'b', 'c']);
    clock.advance(60_000);
    settle();
    assert.deepEqual(held(), []);
    events = [];
    lead();
    assert.deepEqual(held(), []);
    assert.deepEqual(events, []);
  });
});
