import assert from 'node:assert/strict';
import { adaptiveWindow } from '../../../lib/adaptive-window.ts';
import { AssignmentFeed } from '../../../manager/dispatcher/assignment-feed.ts';
import { factsOf } from '../../../manager/dispatcher/assignments.ts';
import { epochAt } from '../../../manager/dispatcher/epochs.ts';
import { RevisionGate } from '../../../manager/dispatcher/revision-gate.ts';
import { RouteFeed } from '../../../manager/dispatcher/route-feed.ts';
import { type ClusterState, TransactionBuilder } from '../../../manager/state/index.ts';
import type { Revision } from '../../../manager/store/store.ts';
import { Cluster, ManagerMessage, Node, NodeStatus, TaskState } from '../../../proto/index.ts';
import { runningStatus, serviceRows, taskRow } from '../../support/cluster-rows.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row, type RowWrite } from '../../support/state-rows.ts';
import { stateWorld, type StateWorld } from '../../support/state-world.ts';

const cluster = Cluster.create({ id: 'c', incarnation: 'first', incarnationNumber: 1 });
type Down = NonNullable<ManagerMessage['message']>;

/** As this process's own commit at that revision, before the watch brings it. */
function commitOwn(state: ClusterState, revision: Revision, ...rows: readonly RowWrite[]): void {
  const builder = new TransactionBuilder();
  for (const write of rows) write(builder);
  state.applyOwn(revision, builder.ownWrites());
}

interface Feeds {
  readonly world: StateWorld;
  readonly sent: Down[];
  congested: boolean;
  /** Lets windows close. */
  settle(): Promise<void>;
  pump(): void;
}

function feedsOf(world: StateWorld): Feeds {
  const clock = manualClock();
  const gate = new RevisionGate();
  const window = (flush: () => void): ReturnType<typeof adaptiveWindow> => adaptiveWindow(clock, { shortMs: 10, longMs: 25 }, flush);
  const sent: Down[] = [];
  const options = { state: world.state, gate, epochAt: (revision: Revision) => epochAt(cluster, revision), window };
  const routes = new RouteFeed(options);
  const assignments = new AssignmentFeed({
    ...options,
    node: factsOf('n1', undefined),
    aheadRevision: 0,
    congested: () => feeds.congested,
    send: ({ message }) => message !== undefined && sent.push(message),
    impossible: () => assert.fail('nothing is impossible here'),
  });
  const subscriber = {
    congested: () => feeds.congested,
    sendRoutes: (bytes: Uint8Array) => {
      const { message } = ManagerMessage.decode(bytes);
      if (message !== undefined) sent.push(message);
    },
  };
  world.state.subscribe((changes, revision) => {
    routes.index.apply(changes);
    for (const change of changes) if (change.table === 'tasks') assignments.touched(change.id, revision);
    routes.changed();
    gate.advanced(world.state.revision);
  });
  const feeds: Feeds = {
    world,
    sent,
    congested: false,
    async settle() {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    },
    pump() {
      assignments.pump();
      routes.pump(subscriber);
    },
  };
  assignments.restart();
  routes.attach(subscriber, 0);
  return feeds;
}

function readyWorld(): StateWorld {
  const world = stateWorld();
  world.change([row('nodes', 'n1', Node.create({ id: 'n1' })), row('nodeStatus', 'n1', NodeStatus.create({ nodeId: 'n1', state: 1 }))]);
  world.change(serviceRows('s', specOf({ spec: { ports: [publish(80, 8080)] } })));
  return world;
}

const kinds = (sent: readonly Down[]): string[] => sent.map((message) => message.case).sort();

describe('feeds', () => {
  it('do not name a state by a revision before everything up to it is in', async () => {
    const world = readyWorld();
    const feeds = feedsOf(world);
    await feeds.settle();
    feeds.sent.length = 0;
    const ahead = world.state.revision + 2;
    commitOwn(world.state, ahead, taskRow('a', 's', 'n1'), row('taskStatus', 'a', runningStatus('a', 'n1')));
    await feeds.settle();
    assert.equal(feeds.sent.length, 0);
    // What another manager committed before.
    world.change([taskRow('b', 's', 'n1')]);
    await feeds.settle();
    assert.equal(feeds.sent.length, 0);
    world.change([taskRow('a', 's', 'n1'), row('taskStatus', 'a', runningStatus('a', 'n1'))]);
    await feeds.settle();
    assert.deepEqual(kinds(feeds.sent), ['assignmentDelta', 'routeDelta']);
    for (const message of feeds.sent) {
      if (message.case === 'assignmentDelta') assert.deepEqual(message.value.put.map((each) => each.taskId).sort(), ['a', 'b']);
      if (message.case === 'assignmentDelta' || message.case === 'routeDelta') assert.equal(message.value.result?.revision, ahead);
    }
  });

  it('share one increment among changes in quick succession, and hold it back while the stream is full', async () => {
    const feeds = feedsOf(readyWorld());
    await feeds.settle();
    feeds.sent.length = 0;
    feeds.congested = true;
    for (let i = 0; i < 5; i++) {
      feeds.world.change([taskRow(`t${i}`, 's', 'n1'), row('taskStatus', `t${i}`, runningStatus(`t${i}`, 'n1'))]);
      await feeds.settle();
    }
    feeds.world.change([taskRow('t0', 's', 'n1', { desired: TaskState.SHUTDOWN })]);
    await feeds.settle();
    assert.equal(feeds.sent.length, 0);
    feeds.congested = false;
    feeds.pump();
    // A reader that missed increments of the routes gets the whole table.
    assert.deepEqual(kinds(feeds.sent), ['assignmentDelta', 'routes']);
    for (const message of feeds.sent) {
      if (message.case === 'assignmentDelta') assert.equal(message.value.put.length, 5);
      if (message.case === 'routes') assert.equal(message.value.ports[0]?.targets.length, 4);
    }
  });

  it('of routes are silent about a new name for the same table, unless a drain waits for it', async () => {
    const feeds = feedsOf(readyWorld());
    await feeds.settle();
    feeds.sent.length = 0;
    feeds.world.change([row('nodes', 'n2', Node.create({ id: 'n2' }))]);
    await feeds.settle();
    assert.equal(feeds.sent.length, 0);
    feeds.world.change([taskRow('d', 's', 'n2', { drain: true })]);
    await feeds.settle();
    assert.deepEqual(kinds(feeds.sent), ['routeDelta']);
  });
});
