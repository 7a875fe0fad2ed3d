// Draining, evicting and settings as users have them: the CLI against a real API.
import assert from 'node:assert/strict';
import {
  Availability,
  Cluster,
  HoldReason,
  Node,
  NodeDescription,
  NodeSession,
  NodeSpec,
  NodeState,
  NodeStatus,
  NodeWatch,
  Task,
  TaskState,
  TaskStatus,
} from '../../../proto/index.ts';
import { runCli } from '../../../cli/run.ts';
import { capturedShell, shoal } from '../../support/captured-shell.ts';
import { type ControlManager, startControlManager } from '../../support/control-manager.ts';
import { row, type RowWrite, storeRows } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

const nodeRows = (id: string, state: NodeState = NodeState.NODE_READY): RowWrite[] => [
  row('nodes', id, Node.create({ id, spec: NodeSpec.create() })),
  row('sessions', id, NodeSession.create({ nodeId: id, nonce: `${id}-1` })),
  row('nodeStatus', id, NodeStatus.create({ nodeId: id, state, description: NodeDescription.create({ hostname: `host-${id}` }) })),
];
const runningTask = (id: string, nodeId: string): RowWrite[] => [
  row('tasks', id, Task.create({ id, serviceId: 'web', specNumber: 1, slot: 1, nodeId, desired: TaskState.RUNNING })),
  row('taskStatus', id, TaskStatus.create({ taskId: id, nodeId, state: TaskState.RUNNING })),
];

describe('care of nodes', () => {
  let manager: ControlManager;
  beforeEach(async () => {
    manager = await startControlManager();
  });
  afterEach(() => manager.stop());

  const put = async (...rows: readonly RowWrite[]): Promise<void> => {
    await manager.state.reached(await storeRows(manager.store, ...rows), 5000);
  };
  const cli = (...args: readonly string[]): ReturnType<typeof shoal> => shoal([...args], { manager: manager.address });
  const availability = (id: string): Availability | undefined => manager.state.get('nodes', id)?.value.spec?.availability;

  it('drains, pauses and activates by name, and says which name is wrong', async () => {
    await put(...nodeRows('a'), ...nodeRows('b'));
    assert.equal((await cli('node', 'drain', 'host-a', 'host-b')).exitCode, 0);
    assert.deepEqual([availability('a'), availability('b')], [Availability.DRAIN, Availability.DRAIN]);
    await cli('node', 'pause', 'host-a');
    const { exitCode, stderr } = await cli('node', 'activate', 'host-b', 'nobody');
    assert.deepEqual([availability('a'), availability('b')], [Availability.PAUSE, Availability.ACTIVE]);
    assert.equal(exitCode, 3);
    assert.match(stderr, /nobody/);
  });

  it('waits for a drain until the node is empty, and says what is left', async () => {
    await put(...nodeRows('a'), ...runningTask('t1', 'a'));
    const captured = capturedShell({ env: { SHOAL_HOST: manager.address } });
    const waiting = runCli(['node', 'drain', '--wait', 'host-a'], captured.shell, []);
    await until(() => captured.stderr().includes('1 task left'), 'the task is named', 10_000);
    assert.match(captured.stderr(), /web\.1: waits for its turn within the update limits/);
    await put(row('taskStatus', 't1', TaskStatus.create({ taskId: 't1', nodeId: 'a', state: TaskState.SHUTDOWN })));
    assert.equal(await waiting, 0);
    assert.match(captured.stderr(), /host-a: empty/);
  });

  it('stops waiting where the node is made active again, and after the time given', async () => {
    await put(...nodeRows('a'), ...runningTask('t1', 'a'));
    const late = await cli('node', 'drain', '--wait', '--timeout', '50ms', 'host-a');
    assert.equal(late.exitCode, 6);
    assert.match(late.stderr, /the drain goes on/);
    const captured = capturedShell({ env: { SHOAL_HOST: manager.address } });
    const waiting = runCli(['node', 'drain', '--wait', 'host-a'], captured.shell, []);
    await until(() => captured.stderr().includes('1 task left'), 'it waits', 10_000);
    await cli('node', 'activate', 'host-a');
    assert.equal(await waiting, 4);
  });

  it('shows what is held against a node, and lets go of it by hand', async () => {
    const held = { nodeId: 'a', sessionNonce: 'a-1', reason: HoldReason.HOLD_MASS_LOSS, sinceUnixMs: 1 };
    const unsettled = { nodeId: 'b', returns: 3, settleMs: 30_000, sinceUnixMs: 1 };
    await put(
      ...nodeRows('a', NodeState.NODE_DOWN),
      ...nodeRows('b'),
      row('nodeWatch', '', NodeWatch.create({ held: [held], unsettled: [unsettled] })),
    );
    const { stdout } = await cli('node', 'ls', '--format', '{{.Hostname}} {{.Status}}');
    assert.equal(stdout, 'host-a Down (lost together with most nodes)\nhost-b Ready (came back 3 times lately)\n');
    const refused = await cli('node', 'evict', 'host-b');
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.stderr, /is not down/);
    assert.equal((await cli('node', 'evict', 'host-a')).exitCode, 0);
    assert.equal(manager.state.get('nodes', 'a')?.value.evictedNonce, 'a-1');
    assert.equal((await cli('node', 'ls', '--filter', 'name=host-a', '--format', '{{.Status}}')).stdout, 'Down\n');
  });

  describe('settings of the cluster', () => {
    beforeEach(() => put(row('cluster', '', Cluster.create({ id: 'c1', incarnation: 'one', incarnationNumber: 1 }))));

    it('are changed one by one, shown with their defaults, and reset', async () => {
      assert.equal((await cli('cluster', 'update', '--eviction-delay', '30s', '--task-history-limit', '2')).exitCode, 0);
      const shown = (await cli('cluster', 'inspect')).stdout;
      assert.match(shown, /eviction-delay:\s+30s\n/);
      assert.match(shown, /node-down-after:\s+5s \(default\)/);
      await cli('cluster', 'update', '--reset', 'eviction-delay');
      const { settings } = manager.state.get('cluster', '')?.value ?? {};
      assert.deepEqual([settings?.evictionDelayMs, settings?.taskHistoryLimit], [undefined, 2]);
      assert.equal((await cli('cluster', 'inspect', '--format', '{{.Settings.TaskHistoryLimit}}')).stdout, '2\n');
    });

    it('are refused with every wrong flag named, and nothing is changed', async () => {
      const wrong = await cli('cluster', 'update', '--node-down-after', '1s', '--mass-loss-percent', '0', '--task-history-limit', '1000');
      assert.equal(wrong.exitCode, 2);
      for (const flag of ['--node-down-after', '--mass-loss-percent', '--task-history-limit'])
        assert.ok(wrong.stderr.includes(flag), wrong.stderr);
      assert.match(wrong.stderr, /three heartbeat periods/);
      assert.equal((await cli('cluster', 'update', '--reset', 'nonsense')).exitCode, 2);
      assert.equal((await cli('cluster', 'update')).exitCode, 2);
      assert.equal(manager.state.get('cluster', '')?.value.settings, undefined);
    });
  });
});
