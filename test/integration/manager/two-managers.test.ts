// Two whole managers on one etcd, one of which may lag: what agents and clients see of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Metadata } from '@grpc/grpc-js';
import { fromServiceError } from '../../../lib/rpc/index.ts';
import { applyDelta, applyTable, type Table } from '../../../mesh/table/table.ts';
import {
  ControlLogsRequest,
  CreateServiceRequest,
  Endpoint,
  ExecRequest,
  type ExecDown,
  ListServicesRequest,
  ListTasksRequest,
  type LogChunk,
  NodeDescription,
  type ServiceView,
  TargetState,
  TaskState,
  UpdateServiceRequest,
} from '../../../proto/index.ts';
import { startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { fakeAgent, type FakeAgent, type FakeAgentOptions } from '../../support/fake-agent.ts';
import { requirement } from '../../support/requirements.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { readStream } from '../../support/stream-reader.ts';
import { type TestAgent, testAgent } from '../../support/test-agent.ts';
import { until } from '../../support/until.ts';
import { openTestStore, startWholeManager, type WholeManager } from '../../support/whole-manager.ts';

const DESCRIPTION = NodeDescription.create({ hostname: 'fake', resources: { nanoCpus: 4e9, memoryBytes: 8 * 1024 ** 3, pids: 0 } });
/** Written by the leader alone. */
const LEADERS_KEYS = /^(tasks|slots|service-status)\//;
/** Written for a node by the manager that holds its session. */
const SESSIONS_KEYS = /^task-status\//;

describe('two managers on one etcd', function () {
  this.timeout(120_000);
  let etcd: TestEtcd;
  let prefix = '';
  let number = 0;
  const managers: WholeManager[] = [];
  const agents: { close(): void }[] = [];
  const realAgents: TestAgent[] = [];

  before(async function () {
    requirement(this, 'etcd');
    etcd = await startEtcd();
  });
  after(() => etcd.stop());
  beforeEach(() => {
    prefix = `/cluster-${++number}/`;
  });
  afterEach(async () => {
    for (const each of agents.splice(0)) each.close();
    await Promise.all(realAgents.splice(0).map((each) => each.remove()));
    const all = managers.splice(0);
    await Promise.all(all.map((manager) => manager.stop()));
    for (const { sent } of all) for (const { transaction } of sent) checkFences(transaction);
  });

  async function start(options: { readonly lagging?: boolean } = {}): Promise<WholeManager> {
    const manager = await startWholeManager({ etcdUrl: etcd.url, prefix, ...options });
    managers.push(manager);
    return manager;
  }
  /** The first leads. */
  async function startTwo(): Promise<readonly [WholeManager, WholeManager]> {
    const first = await start();
    await until(() => first.leads(), 'the first leads');
    return [first, await start()];
  }
  async function join(manager: WholeManager, options: FakeAgentOptions = {}): Promise<FakeAgent> {
    const agent = fakeAgent(manager.address, { heartbeatMs: 300, ...options, register: { description: DESCRIPTION, ...options.register } });
    agents.push(agent);
    await agent.untilRegistered();
    return agent;
  }
  async function joinReal(manager: WholeManager, runtime: ScriptedRuntime): Promise<TestAgent> {
    const agent = testAgent();
    realAgents.push(agent);
    const started = await agent.start([manager.address], runtime);
    await until(() => started.registered(), 'the agent is registered');
    return agent;
  }
  async function create(manager: WholeManager, name: string, replicas: number, publishedPort?: number): Promise<ServiceView> {
    const ports = publishedPort === undefined ? [] : [publish(publishedPort, 80)];
    const spec = specOf({ spec: { name, replicas, ports }, task: { noPortCheck: true } });
    const { service } = await manager.control.createService(CreateServiceRequest.create({ spec, noResolveImage: true }));
    assert.ok(service);
    return service;
  }
  async function scale(manager: WholeManager, { id }: ServiceView, replicas: number): Promise<void> {
    const { spec, version } = await manager.control.getService({ ref: id });
    assert.ok(spec);
    const request = UpdateServiceRequest.create({ ref: id, version, spec: { ...spec, replicas }, noResolveImage: true });
    await manager.control.updateService(request);
  }
  async function running(manager: WholeManager): Promise<number> {
    const { tasks } = await manager.control.listTasks(ListTasksRequest.create({}));
    return tasks.filter(({ state }) => state === TaskState.RUNNING).length;
  }

  describe('of which one lags', () => {
    it('an agent that moves there keeps its tasks, stops nothing, and goes on once the manager has caught up', async () => {
      const [first, second] = await startTwo();
      const runtime = scriptedRuntime();
      const agent = await joinReal(first, runtime);
      await create(first, 'early', 2);
      await until(async () => (await running(first)) === 2, 'the first tasks run');
      second.holdWatch();
      const late = await create(first, 'late', 2);
      await until(async () => (await running(first)) === 4, 'the later tasks run');
      const started = runtime.calls.filter((call) => call.startsWith('start ')).sort();
      assert.equal(started.length, 4);

      const known = `${agent.dataDir}/managers.json`;
      await until(() => readFileSync(known, 'utf8').includes(second.address), 'the agent knows the other manager');
      await first.stop();
      await until(
        () => agent.problems.some((problem) => problem.includes('this manager is behind')),
        () => `the lagging manager has refused the agent; the agent says ${agent.problems.join('; ')}`,
        60_000,
      );
      const untouched = (): void => {
        assert.deepEqual(runtime.calls.filter((call) => call.startsWith('start ')).sort(), started);
        assert.deepEqual(
          runtime.calls.filter((call) => /^(stop|remove) /.test(call)),
          [],
        );
      };
      untouched();
      second.releaseWatch();
      await until(async () => (await second.leads()) && (await running(second)) === 4, 'the other has taken over with all tasks', 30_000);
      untouched();
      await scale(second, late, 1);
      await until(() => runtime.calls.some((call) => call.startsWith('stop ')), 'and is obeyed', 30_000);
      assert.deepEqual(
        agent.problems.filter((problem) => problem.includes('refused assignments')),
        [],
      );
    });

    it('an agent is told nothing that is older than what it has applied', async () => {
      const [first, second] = await startTwo();
      const agent = await join(first);
      const service = await create(first, 'web', 1, 8080);
      await until(() => agent.book().tasks.size === 1 && agent.table() !== undefined, 'the agent has a task and a table');
      second.holdWatch();
      await scale(first, service, 3);
      await until(() => agent.book().tasks.size === 3, 'the agent has three tasks');
      const { nodeId, clusterId } = await agent.untilRegistered();
      const moved = fakeAgent(second.address, {
        ...{ heartbeatMs: 300, book: agent.book(), table: agent.table() },
        register: { description: DESCRIPTION, nodeId, clusterId },
      });
      agents.push(moved);
      await until(() => moved.ended() !== undefined, 'it is refused');
      assert.equal(moved.ended()?.code, 'unavailable');
      assert.match(moved.ended()?.message ?? '', /this manager is behind/);
      assert.deepEqual(moved.received, []);
      assert.equal(agent.ended(), undefined, 'its session with the other is as it was');

      const waiting = fakeAgent(second.address, {
        ...{ heartbeatMs: 300, book: agent.book(), table: agent.table() },
        register: { description: DESCRIPTION, nodeId, clusterId },
      });
      agents.push(waiting);
      second.releaseWatch();
      await waiting.untilRegistered();
      await until(() => waiting.received.some((message) => message.case === 'assignments'), 'it has all assignments');
      assert.deepEqual(waiting.refused, []);
      assert.equal(waiting.book().tasks.size, 3);
      assert.ok((waiting.book().epoch?.revision ?? 0) >= (agent.book().epoch?.revision ?? 0));
      await until(() => agent.ended() !== undefined, 'the session that it left is ended');
      assert.equal(agent.ended()?.code, 'failed_precondition');
    });

    it('clients read what they wrote, whichever they ask', async () => {
      const [first, second] = await startTwo();
      second.holdWatch();
      const request = CreateServiceRequest.create({ spec: specOf({ spec: { name: 'web' } }), noResolveImage: true });
      const { revision } = await first.control.createService(request);
      const list = async (at?: number): Promise<readonly string[]> => {
        const metadata = new Metadata();
        if (at !== undefined) metadata.set('shoal-revision', String(at));
        const { services } = await second.control.listServices(ListServicesRequest.create({}), { metadata });
        return services.map(({ spec }) => spec?.name ?? '');
      };
      assert.deepEqual(await list(), []);
      await assert.rejects(list(revision), { code: 'unavailable' });
      const asked = list(revision);
      second.releaseWatch();
      assert.deepEqual(await asked, ['web']);
      // And the other way: a name that is taken is taken, wherever it is asked for.
      second.holdWatch();
      await create(first, 'taken', 1);
      const again = second.control.createService(
        CreateServiceRequest.create({ spec: specOf({ spec: { name: 'taken' } }), noResolveImage: true }),
      );
      again.catch(() => undefined);
      second.releaseWatch();
      await assert.rejects(again, { code: 'already_exists' });
    });
  });

  it('give their nodes the same routes under the same epochs', async () => {
    const [first, second] = await startTwo();
    const one = await join(first);
    const two = await join(second, { register: { bootId: 'boot-2' } });
    const seen = [tablesOf(one), tablesOf(two)] as const;
    const service = await create(second, 'web', 2, 8080);
    const both = [one, two];
    const report = (agent: FakeAgent, taskId: string, ready = true): void => {
      const endpoint = Endpoint.create({ targetPort: 80, nodeAddress: '127.0.0.1', nodePort: 20_000, ready });
      agent.report(taskId, TaskState.RUNNING, { endpoints: [endpoint] });
    };
    const run = (): void => {
      for (const agent of both) {
        for (const { taskId, desired } of agent.book().tasks.values()) {
          if (desired === TaskState.RUNNING) report(agent, taskId);
          else if (desired >= TaskState.SHUTDOWN) agent.report(taskId, TaskState.SHUTDOWN);
        }
      }
    };
    const targets = (agent: FakeAgent): number | undefined =>
      agent
        .table()
        ?.ports.get('0/8080')
        ?.targets.filter(({ state }) => state !== TargetState.TARGET_DRAINING).length;
    const shown = (count: number, meanwhile: () => void): Promise<void> =>
      until(
        () => {
          meanwhile();
          return both.every((agent) => targets(agent) === count);
        },
        () => `${count} targets on both; there are ${both.map(targets).join(' and ')}`,
        20_000,
      );
    const settled = (count: number): Promise<void> => shown(count, run);
    await settled(2);
    second.holdWatch();
    await scale(first, service, 4);
    await until(() => {
      run();
      return [one, two].reduce((sum, agent) => sum + agent.book().tasks.size, 0) >= 3;
    }, 'the first is ahead');
    second.releaseWatch();
    await settled(4);
    await scale(second, service, 2);
    await settled(2);
    // One change at a time has one name.
    const [taskId] = [...one.book().tasks.values()].filter(({ desired }) => desired === TaskState.RUNNING).map((task) => task.taskId);
    assert.ok(taskId !== undefined);
    for (const ready of [false, true, false, true]) {
      report(one, taskId, ready);
      await shown(ready ? 2 : 1, () => undefined);
      assert.deepEqual(one.table()?.epoch, two.table()?.epoch);
    }
    const common = [...seen[0]()].filter(([revision]) => seen[1]().has(revision));
    assert.ok(common.length >= 4, `${common.length} epochs that both were told`);
    for (const [revision, ports] of common) assert.equal(seen[1]().get(revision), ports, `the table of ${revision}`);
    // One that starts now has the same routes, and may call them by a newer name, which nobody then takes back.
    const third = await start();
    const late = await join(third, { register: { bootId: 'boot-3' } });
    await until(() => late.table() !== undefined && portsText(late.table()) === portsText(one.table()), 'the third has told the same');
    const { nodeId, clusterId } = await late.untilRegistered();
    const moved = await join(first, { table: late.table(), register: { nodeId, clusterId, bootId: 'boot-3' } });
    await scale(first, service, 1);
    await until(() => {
      run();
      return targets(moved) === 1;
    }, 'and goes on from there');
    assert.deepEqual(
      [...both, late, moved].flatMap((agent) => agent.refused),
      [],
    );
  });

  it('let a leader that was deposed change nothing: its fence fails, and that alone is enough', async () => {
    const [first, second] = await startTwo();
    const agent = await join(second);
    const store = await openTestStore(etcd.url, prefix);
    first.holdCommits(({ ops }) => ops.some(({ key }) => LEADERS_KEYS.test(key)));
    const service = await create(second, 'web', 3);
    const held = (): (typeof first.sent)[number] | undefined =>
      first.sent.find(({ transaction }) => transaction.ops.some(({ key }) => key.startsWith(`slots/${service.id}/`)));
    await until(() => held() !== undefined, 'the leader has decided');
    const late = held();
    assert.ok(late);
    // As if its lease had run out.
    await store.commit({ compare: [], ops: [{ type: 'delete', key: 'leader' }] });
    await until(() => second.leads(), 'the other leads');
    await until(() => agent.book().tasks.size === 3, 'the other has made the tasks');
    const before = await store.snapshot('');
    first.releaseCommits();
    await until(() => late.result !== undefined || late.error !== undefined, 'the late transaction is answered');
    assert.equal(late.result?.committed, false);
    const [fence, ...others] = late.transaction.compare;
    assert.ok(fence?.key === 'leader' && 'createRevision' in fence);
    assert.ok(others.length > 0);
    assert.ok(late.result.failed.some((compare) => compare.key === 'leader'));
    const alone = await store.commit({ compare: [fence], ops: late.transaction.ops });
    assert.equal(alone.committed, false);
    const after = await store.snapshot('');
    const leaders = ({ items }: typeof before): readonly unknown[] =>
      items.filter(({ key }) => LEADERS_KEYS.test(key)).map(({ key, modRevision }) => [key, modRevision]);
    assert.deepEqual(leaders(after), leaders(before));
    await store.close();
  });

  describe('of which the other holds the session of a node', () => {
    it('show the logs of its tasks, and run commands in them', async () => {
      const [first, second] = await startTwo();
      const runtime = scriptedRuntime();
      runtime.logLines = ['one', 'two'].map((text, i) => ({ source: 0, timeUnixMs: 1000 + i, data: Buffer.from(`${text}\n`) }));
      await joinReal(second, runtime);
      await create(first, 'web', 1);
      await until(async () => (await running(first)) === 1, 'the task runs');

      const logs = readStream<LogChunk>(first.control.logs(ControlLogsRequest.create({ refs: ['web'], tail: -1 })));
      assert.equal(await logs.ended(), undefined);
      assert.deepEqual(
        logs.messages.map((message) => Buffer.from(message.chunk?.data ?? []).toString()),
        ['one\n', 'two\n'],
      );

      const call = first.control.exec();
      const output = readStream<ExecDown>(call);
      call.write({ frame: { case: 'start', value: { ref: 'web.1', exec: ExecRequest.create({ command: ['cat'], stdin: true }) } } });
      await until(() => runtime.execs.length === 1, 'the command runs');
      const [exec] = runtime.execs;
      assert.ok(exec);
      exec.stdin.on('data', (chunk: Buffer) => exec.stdout.write(chunk));
      call.write({ frame: { case: 'input', value: Buffer.from('to and fro') } });
      await output.find(({ frame }) => frame?.case === 'output' && Buffer.from(frame.value.data).toString() === 'to and fro', 'its output');
      exec.end(7);
      const { frame } = await output.find((message) => message.frame?.case === 'end', 'its end');
      assert.ok(frame?.case === 'end' && frame.value.exitCode === 7);
      assert.equal(await output.ended(), undefined);
    });

    it('say so in plain words when that one goes away in the middle', async () => {
      const [first, second] = await startTwo();
      const runtime = scriptedRuntime();
      await joinReal(second, runtime);
      await create(first, 'web', 1);
      await until(async () => (await running(first)) === 1, 'the task runs');
      const call = first.control.exec();
      const ended = new Promise<string>((resolve) => {
        call.on('error', (error) => resolve(fromServiceError(error, first.address).message));
        call.resume();
      });
      call.write({ frame: { case: 'start', value: { ref: 'web.1', exec: ExecRequest.create({ command: ['top'] }) } } });
      await until(() => runtime.execs.length === 1, 'the command runs');
      await second.stop();
      assert.match(await ended, /went away|ended the stream|cannot reach/);
      await until(() => runtime.execs[0]?.killed === true, 'and the command is ended', 20_000);
      const refusals = new Set<string>();
      await until(
        async () => {
          const again = first.control.exec();
          const refused = new Promise<void>((resolve) => {
            again.on('error', (error) => {
              refusals.add(fromServiceError(error, first.address).message);
              resolve();
            });
          });
          again.resume();
          again.write({ frame: { case: 'start', value: { ref: 'web.1', exec: ExecRequest.create({ command: ['top'] }) } } });
          await Promise.race([refused, until(() => runtime.execs.length === 2, 'it runs')]);
          return runtime.execs.length === 2;
        },
        'the command runs again once the agent has moved',
        30_000,
      );
      for (const refusal of refusals) assert.match(refusal, /reconnecting|cannot reach/);
    });
  });
});

/** All tables that the agent was told, by revision, as text. */
function tablesOf(agent: FakeAgent): () => ReadonlyMap<number, string> {
  return () => {
    const seen = new Map<number, string>();
    const clusterId = agent.registered()?.clusterId ?? '';
    let table: Table | undefined;
    for (const message of agent.received) {
      if (message.case !== 'routes' && message.case !== 'routeDelta') continue;
      const outcome = message.case === 'routes' ? applyTable(table, message.value, clusterId) : applyDelta(table, message.value, clusterId);
      if (outcome.kind !== 'changed') continue;
      table = outcome.table;
      seen.set(table.epoch.revision, portsText(table));
    }
    return seen;
  };
}

/** Increments leave targets in another order than a whole table. */
function portsText(table: Table | undefined): string {
  const ports = [...(table?.ports.values() ?? [])].map((port) => ({
    ...port,
    targets: [...port.targets].sort((a, b) => (a.taskId < b.taskId ? -1 : 1)),
  }));
  return JSON.stringify(ports);
}

/** Nothing is written by a leader without its fence, nor for a node without its session. */
function checkFences({ compare, ops }: WholeManager['sent'][number]['transaction']): void {
  const has = (test: (entry: (typeof compare)[number]) => boolean): boolean => compare.some(test);
  if (ops.some(({ key }) => LEADERS_KEYS.test(key))) {
    assert.ok(
      has((entry) => entry.key === 'leader' && 'createRevision' in entry && entry.createRevision > 0),
      JSON.stringify(ops.map(({ key }) => key)),
    );
  }
  if (ops.some(({ key, type }) => SESSIONS_KEYS.test(key) && type === 'put')) {
    assert.ok(
      has((entry) => entry.key.startsWith('sessions/') && 'modRevision' in entry && entry.modRevision > 0),
      JSON.stringify(ops.map(({ key }) => key)),
    );
  }
}
