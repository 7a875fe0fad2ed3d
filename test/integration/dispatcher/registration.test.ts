import assert from 'node:assert/strict';
import { credentials } from '@grpc/grpc-js';
import { connect, fromServiceError } from '../../../lib/rpc/index.ts';
import { keyOf } from '../../../manager/state/index.ts';
import { AgentSessionService, Availability, Epoch, NodeDescription, NodeRole, NodeState, type Register } from '../../../proto/index.ts';
import { dispatcherBench } from '../../support/dispatcher-bench.ts';
import { CLUSTER_ID, type DispatcherManager } from '../../support/dispatcher-manager.ts';
import type { FakeAgent } from '../../support/fake-agent.ts';
import { row } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

describe('dispatcher: registration and heartbeats', () => {
  const bench = dispatcherBench();
  const { start, manager: at, agent, joined, endOf: untilEnded } = bench;
  const known = (from: FakeAgent, more: Partial<Register> = {}): Partial<Register> => ({
    nodeId: from.nodeId(),
    clusterId: CLUSTER_ID,
    ...more,
  });
  const stateOf = (manager: DispatcherManager, nodeId: string): NodeState | undefined =>
    manager.state.get('nodeStatus', nodeId)?.value.state;
  const untilState = (manager: DispatcherManager, nodeId: string, state: NodeState): Promise<void> =>
    until(() => stateOf(manager, nodeId) === state, `node state ${state}`);
  afterEach(() => bench.stop());

  it('makes a node at the first registration: worker, active, with the labels asked for, and ready', async () => {
    const manager = await start(['m1']);
    const description = NodeDescription.create({ hostname: 'host-a', dataAddress: '127.0.0.2' });
    const one = await joined(manager, { register: { labels: { ssd: 'true' }, description } });
    assert.equal(one.registered()?.clusterId, CLUSTER_ID);
    assert.equal(one.registered()?.managerId, 'm1');
    assert.deepEqual(one.registered()?.managers, [manager.address]);
    await untilState(manager, one.nodeId(), NodeState.NODE_READY);
    const node = manager.state.get('nodes', one.nodeId())?.value;
    assert.deepEqual(node?.spec, { role: NodeRole.WORKER, availability: Availability.ACTIVE, labels: { ssd: 'true' } });
    const status = manager.state.get('nodeStatus', one.nodeId())?.value;
    assert.equal(status?.description?.hostname, 'host-a');
    assert.equal(status.address, '127.0.0.1');
    assert.equal(manager.state.get('sessions', one.nodeId())?.value.managerId, 'm1');
  });

  it('gives the same node to an agent that did not hear the answer to its first registration', async () => {
    const manager = await start(['m1']);
    const one = await joined(manager, { register: { nonce: 'process-1' } });
    const again = await joined(manager, { register: { nonce: 'process-1' } });
    assert.equal(again.nodeId(), one.nodeId());
    assert.equal(manager.state.count('nodes'), 1);
  });

  it('ends a stream whose first message is something else, or does not come, with one line each', async () => {
    const manager = await start(['m1'], { settings: { firstMessageMs: 150 } });
    const connection = connect(manager.address, credentials.createInsecure());
    const endOf = (talk: boolean): Promise<string> =>
      new Promise((resolve) => {
        const call = connection.client(AgentSessionService).session();
        call.on('data', () => undefined);
        call.on('error', (error) => {
          resolve(fromServiceError(error, manager.address).code);
        });
        if (talk) call.write({ message: { case: 'heartbeat', value: { sequence: 1 } } });
      });
    assert.equal(await endOf(true), 'invalid_argument');
    assert.equal(await endOf(false), 'invalid_argument');
    connection.close();
    assert.equal(manager.lines.filter((line) => line.message === 'an agent was not registered').length, 2);
  });

  it('refuses messages that no agent sends, and disturbs nobody else', async () => {
    const manager = await start(['m1']);
    const good = await joined(manager);
    const connection = connect(manager.address, credentials.createInsecure(), { 'grpc.max_send_message_length': -1 });
    const endOf = (bytes: Buffer): Promise<string> =>
      new Promise((resolve) => {
        const call = connection.client(AgentSessionService).session();
        call.on('error', (error) => {
          resolve(fromServiceError(error, manager.address).code);
        });
        call.write(bytes);
      });
    assert.equal(await endOf(Buffer.from([0xff, 0xff, 0xff])), 'invalid_argument');
    assert.equal(await endOf(Buffer.alloc(5_000_000)), 'resource_exhausted');
    connection.close();
    const bad = agent(manager, { register: { nodeId: '../etc', nonce: '' } });
    assert.equal(await untilEnded(bad), 'invalid_argument');
    assert.match(bad.ended()?.message ?? '', /node_id.*nonce/);
    assert.ok(manager.lines.some((line) => line.message === 'a call was refused'));
    const answers = good.answers().length;
    await until(() => good.answers().length > answers, 'the other agent is answered');
    assert.equal(good.ended(), undefined);
  });

  it('refuses a node of another cluster, and one that it does not have, also while it has a session', async () => {
    const manager = await start(['m1']);
    const one = await joined(manager);
    const foreign = agent(manager, { register: { nodeId: one.nodeId(), clusterId: 'another' } });
    assert.equal(await untilEnded(foreign), 'failed_precondition');
    assert.match(foreign.ended()?.message ?? '', /belongs to cluster another/);
    await manager.store.commit({
      compare: [],
      ops: (['nodes', 'sessions', 'nodeStatus'] as const).map((table) => ({ type: 'delete', key: keyOf(table, one.nodeId()) })),
    });
    assert.equal(await untilEnded(one), 'permission_denied');
    assert.match(one.ended()?.message ?? '', /removed.*join again/);
    const late = agent(manager, { register: known(one) });
    assert.equal(await untilEnded(late), 'permission_denied');
    assert.match(late.ended()?.message ?? '', /no removal of it is recorded.*--purge/);
    assert.equal(manager.state.count('nodeStatus'), 0);
  });

  it('lets the same boot take over at once, without the node going down', async () => {
    const manager = await start(['m1']);
    const one = await joined(manager);
    await untilState(manager, one.nodeId(), NodeState.NODE_READY);
    const since = manager.state.get('nodeStatus', one.nodeId())?.modRevision;
    const two = await joined(manager, { register: known(one) });
    assert.equal(await untilEnded(one), 'failed_precondition');
    assert.match(one.ended()?.message ?? '', /taken over/);
    await until(() => two.answers().length > 2, 'the new session lives');
    assert.equal(manager.state.get('nodeStatus', one.nodeId())?.modRevision, since);
  });

  it('refuses another boot while the holder is alive, and lets it in once it is silent', async () => {
    const manager = await start(['m1', 'm2']);
    const holder = await joined(manager);
    await untilState(at(1), holder.nodeId(), NodeState.NODE_READY);
    for (const which of [at(0), at(1)]) {
      const second = agent(which, { register: known(holder, { bootId: 'boot-2' }) });
      assert.equal(await untilEnded(second), 'failed_precondition');
      assert.match(second.ended()?.message ?? '', /another agent with the identity/);
    }
    assert.equal(holder.ended(), undefined);
    holder.beat(0);
    await untilState(at(1), holder.nodeId(), NodeState.NODE_DOWN);
    await joined(at(1), { register: known(holder, { bootId: 'boot-2' }) });
    await untilState(manager, holder.nodeId(), NodeState.NODE_READY);
  });

  it('answers heartbeats, and writes nothing for them', async () => {
    const manager = await start(['m1', 'm2']);
    const one = await joined(manager, { heartbeatMs: 10 });
    await untilState(manager, one.nodeId(), NodeState.NODE_READY);
    const { revision } = await manager.store.snapshot('');
    await until(() => one.answers().length > 20, 'twenty answers');
    assert.equal((await manager.store.snapshot('')).revision, revision);
    const last = one.answers().at(-1);
    assert.equal(last?.storeReachable, true);
    assert.deepEqual(last.managers, [at(0).address, at(1).address].sort());
  });

  it('marks a silent node down whether its stream ended or not, and ready with its next heartbeat', async () => {
    const manager = await start(['m1']);
    const mute = await joined(manager);
    const gone = await joined(manager);
    await untilState(manager, mute.nodeId(), NodeState.NODE_READY);
    await untilState(manager, gone.nodeId(), NodeState.NODE_READY);
    mute.beat(0);
    gone.close();
    await untilState(manager, mute.nodeId(), NodeState.NODE_DOWN);
    await untilState(manager, gone.nodeId(), NodeState.NODE_DOWN);
    assert.match(manager.state.get('nodeStatus', gone.nodeId())?.value.message ?? '', /no heartbeat for 1 s/);
    assert.equal(mute.ended(), undefined);
    mute.beat(50);
    await untilState(manager, mute.nodeId(), NodeState.NODE_READY);
  });

  it('ends a session whose node registered with another manager, without marking it down', async () => {
    const manager = await start(['m1', 'm2']);
    const one = await joined(manager);
    await untilState(at(1), one.nodeId(), NodeState.NODE_READY);
    const two = await joined(at(1), { register: known(one) });
    assert.equal(await untilEnded(one), 'failed_precondition');
    const down: boolean[] = [];
    manager.state.subscribe((changes) => {
      for (const change of changes) if (change.table === 'nodeStatus') down.push(change.after?.value.state === NodeState.NODE_DOWN);
    });
    // Past the time after which the first manager would have judged it.
    const answers = two.answers().length;
    await until(() => two.answers().length > answers + 30, 'the new session lives');
    assert.ok(!down.includes(true));
    assert.equal(manager.dispatcher.sessionCount(), 0);
    assert.equal(at(1).dispatcher.sessionCount(), 1);
  });

  it('takes back that a node is quiet, whoever said so before it registered with another manager', async () => {
    await start(['m1', 'm2'], { cluster: { nodeDownAfterMs: 60_000 } });
    const one = await joined(at(0));
    const silent = (): boolean | undefined => at(1).state.get('nodeStatus', one.nodeId())?.value.silent;
    await untilState(at(1), one.nodeId(), NodeState.NODE_READY);
    one.close();
    const status = at(1).state.get('nodeStatus', one.nodeId())?.value;
    assert.ok(status);
    await at(0).write(row('nodeStatus', one.nodeId(), { ...status, silent: true }));
    await until(() => silent() === true, 'it is quiet');
    await joined(at(1), { register: known(one) });
    await until(() => silent() === false, 'it is heard again');
  });

  it('judges nodes of an earlier life of this manager', async () => {
    const manager = await start(['m1']);
    const one = await joined(manager);
    await untilState(manager, one.nodeId(), NodeState.NODE_READY);
    manager.dispatcher.stop();
    assert.equal(await untilEnded(one), 'unavailable');
    manager.dispatcher.start();
    await untilState(manager, one.nodeId(), NodeState.NODE_DOWN);
  });

  it('sends an agent elsewhere that has applied more than this manager has, and takes one of an older incarnation', async () => {
    const manager = await start(['m1'], { settings: { catchUpMs: 150 } });
    const epoch = Epoch.create({ clusterId: CLUSTER_ID, incarnation: 'first', incarnationNumber: 1, revision: 1_000_000 });
    const ahead = agent(manager, { register: { assignments: epoch } });
    assert.equal(await untilEnded(ahead), 'unavailable');
    const newer = agent(manager, { register: { routes: { ...epoch, incarnation: 'second', incarnationNumber: 2 } } });
    assert.equal(await untilEnded(newer), 'unavailable');
    const forked = agent(manager, { register: { routes: { ...epoch, incarnation: 'other' } } });
    assert.equal(await untilEnded(forked), 'failed_precondition');
    await joined(manager, { register: { assignments: { ...epoch, incarnation: 'zeroth', incarnationNumber: 0 } } });
    assert.equal(manager.state.count('nodes'), 1);
  });

  it('refuses more sessions than it is set to serve', async () => {
    const manager = await start(['m1'], { settings: { maxSessions: 1 } });
    await joined(manager);
    assert.equal(await untilEnded(agent(manager)), 'resource_exhausted');
  });
});
