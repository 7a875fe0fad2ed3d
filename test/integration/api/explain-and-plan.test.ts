import assert from 'node:assert/strict';
import {
  ExplainServiceRequest,
  type PlanServiceRequest,
  ManagerLiveness,
  Placement,
  PlannedAction,
  RemoveServiceRequest,
  type ServicePlan,
  type ServiceSpec,
  ServiceStatus,
  Task,
  TaskState,
  TaskVerdict,
} from '../../../proto/index.ts';
import { type CliResult, shoal as runShoal } from '../../support/captured-shell.ts';
import { type ControlManager, startControlManager } from '../../support/control-manager.ts';
import { makeNode } from '../../support/placement.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row, type RowWrite, storeRows } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

describe('control API: explanations and plans', () => {
  let manager: ControlManager;
  const shoal = (...args: readonly string[]): Promise<CliResult> => runShoal(args, { manager: manager.address });

  beforeEach(async () => {
    manager = await startControlManager();
    const rows = ['a', 'b'].flatMap((id) => {
      const { node, status } = makeNode({ id, gib: 4 });
      return [row('nodes', id, node), row('nodeStatus', id, status)];
    });
    await put(...rows, row('leader', '', ManagerLiveness.create({ managerId: 'm' })));
  });
  afterEach(() => manager.stop());

  async function put(...rows: readonly RowWrite[]): Promise<void> {
    await manager.state.reached(await storeRows(manager.store, ...rows), 5000);
  }

  const plan = (change: PlanServiceRequest['change']): Promise<ServicePlan> => manager.client.planService({ change });
  const creating = (spec: ServiceSpec): PlanServiceRequest['change'] => ({
    case: 'create',
    value: { spec, registryAuth: '', noResolveImage: true, plannedDigest: '' },
  });

  it('plan a create with its placements, and write nothing', async () => {
    const { commits } = manager;
    const made = await plan(creating(specOf({ spec: { replicas: 3, ports: [publish(0, 80)] } })));
    assert.deepEqual(
      made.tasks.map(({ name, action, toHostname }) => `${name} ${action} ${toHostname}`),
      ['web.1 0 host-a', 'web.2 0 host-b', 'web.3 0 host-a'],
    );
    assert.deepEqual([made.fits, made.isCut, made.version, made.before], [true, false, 0, undefined]);
    assert.ok((made.after?.ports[0]?.publishedPort ?? 0) >= 30_000);
    assert.equal(manager.commits, commits);
    assert.equal(manager.state.count('services'), 0);
  });

  it('say what does not fit, and refuse what the change itself would meet', async () => {
    const heavy = specOf({ spec: { replicas: 3 }, task: { reservations: { nanoCpus: 0, memoryBytes: 3 * 1024 ** 3, pids: 0 } } });
    const made = await plan(creating(heavy));
    assert.equal(made.fits, false);
    const waiting = made.tasks.find(({ action }) => action === PlannedAction.PLAN_WAIT);
    assert.match(waiting?.reason ?? '', /insufficient resources on 2 nodes/);
    await assert.rejects(plan(creating(specOf({ spec: { name: 'no good' } }))), /name/);
    await assert.rejects(plan(undefined), /change: is missing/);
  });

  it('are applied exactly as planned, or not at all', async () => {
    const created = await shoal('service', 'create', '--detach', '--no-resolve-image', '--name', 'web', 'nginx:1');
    assert.equal(created.exitCode, 0, created.stderr);
    const planned = await shoal('service', 'update', '--plan', '--replicas', '2', '--env-add', 'COLOR=red', 'web');
    assert.equal(planned.exitCode, 1, planned.stderr);
    const version = /--if-version (\S+)/.exec(planned.stdout)?.[1] ?? assert.fail(planned.stdout);
    const other = await shoal('service', 'update', '--detach', '--replicas', '3', '--if-version', version, 'web');
    assert.deepEqual([other.exitCode, other.stdout], [4, '']);
    assert.match(other.stderr, /not what was planned/);
    const applied = await shoal(
      'service',
      'update',
      '--detach',
      '--replicas',
      '2',
      '--env-add',
      'COLOR=red',
      '--if-version',
      version,
      'web',
    );
    assert.equal(applied.exitCode, 0, applied.stderr);
    const again = await shoal('service', 'update', '--detach', '--replicas', '2', '--env-add', 'COLOR=red', '--if-version', version, 'web');
    assert.equal(again.exitCode, 4);
    assert.match(again.stderr, /at version \d+, not \d+: somebody changed it meanwhile/);
    const nothing = await shoal('service', 'scale', '--plan', 'web=2');
    assert.deepEqual([nothing.exitCode, nothing.stdout.trim().split(': ').at(-1)], [0, 'nothing would change']);
    const gone = await shoal('service', 'rm', '--if-version', version, 'web');
    assert.equal(gone.exitCode, 4, gone.stderr);
    const now = manager.state.get('byName', 'service/web')?.value.objectId ?? '';
    const current = manager.state.get('services', now)?.modRevision ?? 0;
    assert.equal((await shoal('service', 'rm', '--if-version', String(current), 'web')).exitCode, 0);
    await assert.rejects(manager.client.removeService(RemoveServiceRequest.create({ ref: 'web', version: 1 })), /no such service/);
  });

  it('are shown field by field under the flags, and as JSON', async () => {
    await shoal(
      'service',
      'create',
      '--detach',
      '--no-resolve-image',
      '--name',
      'web',
      '-e',
      'A=1',
      '-e',
      'B=2',
      '-p',
      '8080:80',
      'nginx:1',
    );
    const args = [
      '--plan',
      '--env-add',
      'A=3',
      '--env-rm',
      'B',
      '--publish-rm',
      '80',
      '--reserve-memory',
      '64m',
      '--image',
      'nginx:2',
      '--no-resolve-image',
    ];
    const { stdout, exitCode } = await shoal('service', 'update', ...args, 'web');
    assert.equal(exitCode, 1);
    const lines = stdout.split('\n').map((line) => line.trim().replaceAll(/\s{2,}/g, ' '));
    for (const line of [
      '--env-add A=1 -> A=3',
      '--env-rm B=2 -> (none)',
      '--publish-rm published=8080,target=80,protocol=tcp -> (none)',
      '--reserve-memory (none) -> 64MiB',
      '--image nginx:1 -> nginx:2',
    ])
      assert.ok(lines.includes(line), `${line}\n${stdout}`);
    assert.ok(lines.includes('create web.1 on host-a'), stdout);
    const json = await shoal('service', 'update', ...args, '--format', 'json', 'web');
    const parsed = JSON.parse(json.stdout) as { Changes: { Flag: string; Path: string }[]; IfVersion: string; Fits: boolean };
    assert.ok(parsed.Changes.some(({ Flag, Path }) => Flag === '--env-rm' && Path === 'task.container.env'));
    assert.match(parsed.IfVersion, /^\d+-[0-9a-f]{12}$/);
    assert.equal(parsed.Fits, true);
  });

  it('refuse wrong flags by name, value and rule, above exit code 1', async () => {
    const bad = await shoal('service', 'update', '--if-version', 'latest', 'web');
    assert.deepEqual([bad.exitCode, /--if-version: "latest" is not a version as --plan prints it/.test(bad.stderr)], [2, true], bad.stderr);
    assert.match(
      (await shoal('service', 'scale', '--if-version', '3', 'a=1', 'b=2')).stderr,
      /"3" is the version of one service, and 2 are named/,
    );
    assert.match((await shoal('service', 'update', '--format', 'json', 'web')).stderr, /--format: is for --plan/);
    assert.match((await shoal('service', 'create', '--if-version', '7', 'nginx')).stderr, /"7" is the version of a service that is there/);
    const unknown = await shoal('service', 'update', '--plan', '--replicas', '2', 'nope');
    assert.deepEqual([unknown.exitCode, unknown.stdout], [3, '']);
    const many = await shoal('service', 'update', '--plan', '--replicas', 'many', 'nope');
    assert.equal(many.exitCode > 1, true);
  });

  it('explain a task that no node takes, in lines and as JSON', async () => {
    const spec = specOf({ spec: { name: 'web' }, task: { placement: Placement.create({ constraints: ['node.labels.ssd==yes'] }) } });
    const { service } = await manager.client.createService({ spec, registryAuth: '', noResolveImage: true, plannedDigest: '' });
    const id = service?.id ?? assert.fail();
    const message = 'no suitable node (scheduling constraints not satisfied on 2 nodes)';
    const task = Task.create({
      ...{ id: 't1', serviceId: id, specNumber: 1, slot: 1, desired: TaskState.RUNNING },
      verdict: TaskVerdict.create({ state: TaskState.PENDING, message, sinceUnixMs: 1 }),
    });
    await put(
      row('tasks', 't1', task),
      row('slots', `${id}/1`, { taskId: 't1' }),
      row('serviceStatus', id, ServiceStatus.create({ serviceId: id, activeSpecNumber: 1 })),
    );
    const { stdout, exitCode } = await shoal('service', 'explain', 'web');
    assert.equal(exitCode, 0);
    assert.match(
      stdout,
      /^web: 0 of 1 tasks run\ntasks that are not where they should be:\n {2}web\.1 \(pending\): no suitable node .* -> label host-a with ssd=yes\n/,
    );
    assert.match(
      stdout,
      /\n {4}host-a: constraint node\.labels\.ssd==yes does not hold there: it has no node label ssd -> label host-a with ssd=yes: `shoal node update --label-add ssd=yes host-a`\n/,
    );
    const parsed = JSON.parse((await shoal('service', 'explain', '--format', 'json', 'web')).stdout) as {
      AllRight: boolean;
      Tasks: { Nodes: { Hostname: string; Refusals: { Filter: string; Change: { Kind: string } }[] }[] }[];
    };
    assert.deepEqual([parsed.AllRight, parsed.Tasks[0]?.Nodes[0]?.Refusals[0]?.Change.Kind], [false, 'set-label']);
    assert.equal((await shoal('service', 'explain', '--format', '{{.Name}} {{.AllRight}}', 'web')).stdout, 'web false\n');
    assert.equal((await shoal('service', 'explain', 'nope')).exitCode, 3);
    await assert.rejects(manager.client.explainService(ExplainServiceRequest.create({ ref: '' })), /no such service/);
  });

  it('explain in one line that all is right', async () => {
    await manager.client.createService({
      spec: specOf({ spec: { replicas: 0 } }),
      registryAuth: '',
      noResolveImage: true,
      plannedDigest: '',
    });
    await until(() => manager.state.count('services') === 1, 'the service');
    const id = manager.state.get('byName', 'service/web')?.value.objectId ?? '';
    await put(row('serviceStatus', id, ServiceStatus.create({ serviceId: id, activeSpecNumber: 1 })));
    assert.equal((await shoal('service', 'explain', 'web')).stdout, 'web: all right, 0 of 0 tasks run\n');
  });
});
