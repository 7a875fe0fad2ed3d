import assert from 'node:assert/strict';
import { explainService } from '../../../manager/explain/index.ts';
import { portProblemsByService } from '../../../manager/api/services/service-view.ts';
import {
  Availability,
  type ExplainedTask,
  type Finding,
  HttpClaim,
  ManagerLiveness,
  NodeState,
  NodeWatch,
  type Placement,
  Placement as PlacementMessage,
  PortClaim,
  PortMode,
  PortProtocol,
  PortSpec,
  RestartCondition,
  RestartPolicy,
  ServiceMode,
  type ServiceExplanation,
  type ServiceSpec,
  TaskState,
  UpdateConfig,
  UpdateOrder,
} from '../../../proto/index.ts';
import { CPU, GIB } from '../../support/placement.ts';
import { FAILING_IMAGE, REJECTED_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { httpPort, publish, specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';

describe('service explain', () => {
  let model: ReconcileModel;

  beforeEach(() => {
    model = new ReconcileModel();
    model.world.change([row('leader', '', ManagerLiveness.create({ managerId: 'm' }))]);
  });

  const explain = (id = 'web'): ServiceExplanation => explainService(model.state, id, model.clock);
  const only = (explanation: ServiceExplanation): ExplainedTask => {
    assert.equal(explanation.tasks.length, 1, JSON.stringify(explanation.tasks));
    return explanation.tasks[0] ?? assert.fail();
  };
  const kinds = (findings: readonly Finding[]): string[] => findings.map(({ kind }) => kind);
  const reserving = (gib: number, more: Partial<ServiceSpec> = {}): ServiceSpec =>
    specOf({ spec: more, task: { reservations: { nanoCpus: 0, memoryBytes: gib * GIB, pids: 0 } } });
  const constrained = (...constraints: string[]): ServiceSpec => placed({ constraints });
  const placed = (placement: Partial<Placement>, spec: Partial<ServiceSpec> = {}): ServiceSpec =>
    specOf({ spec, task: { placement: PlacementMessage.create(placement) } });
  const refusalsOf = (task: ExplainedTask, hostname: string): readonly string[] =>
    task.nodes.find((node) => node.hostname === hostname)?.refusals.map(({ reason }) => reason) ?? assert.fail(`no ${hostname}`);
  const changesOf = (task: ExplainedTask, hostname: string): readonly string[] =>
    task.nodes.find((node) => node.hostname === hostname)?.refusals.map(({ change }) => change?.command || (change?.what ?? '')) ?? [];

  it('says in one word that all is right', () => {
    model.addNode({ id: 'a' });
    model.create('web', specOf());
    model.settle();
    const { allRight, running, desired, tasks, rollout, ports } = explain();
    assert.deepEqual([allRight, running, desired, tasks, rollout, ports], [true, 1, 1, [], [], []]);
  });

  describe('of a task that no node takes', () => {
    it('names the memory that is missing, who has it, and how much would do', () => {
      model.addNode({ id: 'a', gib: 4 });
      model.create('db', { ...reserving(3), name: 'db' });
      model.settle();
      model.create('web', reserving(2));
      model.settle();
      const task = only(explain());
      assert.equal(task.finding?.kind, 'no-node');
      assert.match(task.finding.reason, /insufficient resources on 1 node/);
      assert.deepEqual(refusalsOf(task, 'host-a'), ['it needs 2GiB of memory, 1GiB free of 4GiB']);
      const [change] = task.nodes[0]?.refusals.map((refusal) => refusal.change) ?? [];
      assert.equal(
        change?.what,
        'free 1GiB of memory on host-a (most is reserved by db.1 (3GiB)), or reserve less: at most 1GiB of memory fits there',
      );
      assert.equal(change.command, 'shoal service update --reserve-memory 1024m web');
      assert.deepEqual([change.memoryBytes, change.fittingMemoryBytes], [GIB, GIB]);
      assert.equal(task.finding.wayOut, change.what);
    });

    it('does not speak of freeing what a node does not have', () => {
      model.addNode({ id: 'a', gib: 1, cpus: 1 });
      model.create('web', specOf({ task: { reservations: { nanoCpus: 2 * CPU, memoryBytes: 2 * GIB, pids: 0 } } }));
      model.settle();
      const task = only(explain());
      assert.deepEqual(refusalsOf(task, 'host-a'), ['it needs 2GiB of memory, 1GiB free of 1GiB; and 2 CPUs, 1 free of 1']);
      assert.match(task.finding?.wayOut ?? '', /^reserve less, the node has no more: at most 1GiB of memory and 1 CPUs fits there$/);
    });

    it('names every filter of every node, nearest first, and the change for each', () => {
      model.addNode({ id: 'a', gib: 1, availability: Availability.DRAIN });
      model.addNode({ id: 'b', labels: { ssd: 'false' } });
      model.addNode({ id: 'c', state: NodeState.NODE_DOWN });
      model.addNode({ id: 'd', trouble: 'connection refused' });
      const spec = reserving(2);
      model.create('web', {
        ...spec,
        task: { ...(spec.task ?? assert.fail()), placement: PlacementMessage.create({ constraints: ['node.labels.ssd==true'] }) },
      });
      model.settle();
      const task = only(explain());
      assert.deepEqual(
        task.nodes.map(({ hostname, refusals }) => `${hostname}: ${refusals.map(({ filter }) => filter).join()}`),
        ['host-b: constraints', 'host-a: ready,resources,constraints', 'host-c: ready,constraints', 'host-d: engine,constraints'],
      );
      assert.deepEqual(refusalsOf(task, 'host-b'), ['constraint node.labels.ssd==true does not hold there: its label ssd is "false"']);
      assert.equal(task.finding?.wayOut, 'label host-b with ssd=true');
      assert.deepEqual(changesOf(task, 'host-a'), [
        'shoal node update --availability active host-a',
        'shoal service update --reserve-memory 1024m web',
        'shoal node update --label-add ssd=true host-a',
      ]);
      assert.match(refusalsOf(task, 'host-d')[0] ?? '', /its container engine does not answer.*connection refused/);
    });

    it('takes a constraint away only where no label decides', () => {
      model.addNode({ id: 'a', labels: { zone: 'x' } });
      model.create('web', constrained('node.hostname==other', 'node.labels.zone!=x'));
      model.settle();
      assert.deepEqual(changesOf(only(explain()), 'host-a'), [
        'shoal service update --constraint-rm node.hostname==other web',
        'shoal node update --label-rm zone host-a',
      ]);
    });

    it('names the service that has the host port', () => {
      const port = PortSpec.create({ mode: PortMode.HOST, publishedPort: 8080, targetPort: 80 });
      model.addNode({ id: 'a' });
      model.create('proxy', specOf({ spec: { name: 'proxy', ports: [port] } }));
      model.settle();
      model.create('web', specOf({ spec: { ports: [port] } }));
      model.settle();
      const task = only(explain());
      assert.deepEqual(refusalsOf(task, 'host-a'), ['host port 8080/tcp is used there by proxy.1']);
      assert.equal(task.finding?.wayOut, 'free port 8080/tcp on host-a: move or stop proxy.1, or publish another port');
    });

    it('names tasks that wait for the same reason together', () => {
      model.addNode({ id: 'a' });
      model.create('web', placed({ maxReplicasPerNode: 1 }, { replicas: 4 }));
      model.settle();
      const explanation = explain();
      const task = only(explanation);
      assert.deepEqual([task.name, task.sameAsThis], ['web.2', ['web.3', 'web.4']]);
      assert.equal(explanation.running, 1);
      assert.deepEqual(changesOf(task, 'host-a'), ['shoal service update --replicas-max-per-node 2 web']);
    });

    it('says that a node has to settle first', () => {
      model.addNode({ id: 'a' });
      const unsettled = [{ nodeId: 'a', returns: 3, settleMs: 60_000, sinceUnixMs: 1 }];
      model.world.change([row('nodeWatch', '', NodeWatch.create({ unsettled }))]);
      model.create('web', constrained('node.labels.ssd==true'));
      model.settle();
      const [node] = only(explain()).nodes;
      assert.deepEqual([node?.refusals.map(({ filter }) => filter), node?.canBeMadeToFit], [['settled', 'constraints'], true]);
    });

    it('of a cluster without nodes says how to get one', () => {
      model.create('web', specOf());
      model.settle();
      assert.match(only(explain()).finding?.wayOut ?? '', /start an agent/);
    });

    it('of a global service that runs nowhere says why no node qualifies', () => {
      model.addNode({ id: 'a' });
      model.create('web', placed({ constraints: ['node.labels.gpu==yes'] }, { mode: ServiceMode.GLOBAL, replicas: 0 }));
      model.settle();
      const task = only(explain());
      assert.equal(task.finding?.wayOut, 'label host-a with gpu=yes');
    });
  });

  describe('of a task that has a node', () => {
    it('tells the time left of a restart delay, and what went wrong before', () => {
      model.addNode({ id: 'a' });
      model.create('web', specOf({ container: { image: FAILING_IMAGE }, task: { restart: RestartPolicy.create({ delayMs: 10_000 }) } }));
      model.settle();
      model.clock.advance(4000);
      const { finding } = only(explain());
      assert.equal(finding?.kind, 'restart-delay');
      assert.equal(
        finding.reason,
        'restart 1: it waits out its restart delay of 10s, about 6s left; the last one failed: exit code 1: it broke',
      );
      assert.equal(finding.wayOut, '`shoal service logs web` shows what it printed');
      model.world.change([row('leader', '', ManagerLiveness.create({ managerId: 'other' }))]);
      // The row began anew: another leader.
      model.world.change([], [['leader', '']]);
      model.world.change([row('leader', '', ManagerLiveness.create({ managerId: 'other' }))]);
      assert.match(only(explain()).finding?.reason ?? '', /begun anew by a new leader/);
    });

    it("gives the registry's words where an image cannot be pulled", () => {
      model.addNode({ id: 'a' });
      model.create('web', specOf({ container: { image: REJECTED_IMAGE } }));
      model.settle();
      const words = 'the image nope cannot be pulled: manifest unknown';
      for (const { id, value } of [...model.state.all('taskStatus')])
        model.world.change([row('taskStatus', id, { ...value, error: words })]);
      const { finding } = only(explain());
      assert.match(
        finding?.reason ?? '',
        /was rejected: the image nope cannot be pulled: manifest unknown; the next one waits out its restart delay of 5s/,
      );
      assert.match(finding?.wayOut ?? '', /check that rejected exists in the registry; .*--with-registry-auth/);
      // An agent that tries again by itself says so while the task prepares.
      const current = model.tasks('web').find(({ desired }) => desired === TaskState.READY) ?? assert.fail();
      const status = model.state.get('taskStatus', current.id)?.value ?? assert.fail();
      const own = { ...status, state: TaskState.PREPARING };
      model.world.change([row('taskStatus', current.id, own), row('tasks', current.id, { ...current, desired: TaskState.RUNNING })]);
      assert.equal(only(explain()).finding?.kind, 'pull-failing');
    });

    it('says that its restarts are used up', () => {
      model.addNode({ id: 'a' });
      model.create(
        'web',
        specOf({ container: { image: FAILING_IMAGE }, task: { restart: RestartPolicy.create({ delayMs: 10, maxAttempts: 2 }) } }),
      );
      model.run(1000);
      const { finding } = only(explain());
      assert.equal(finding?.kind, 'gave-up');
      assert.match(finding.reason, /exit code 1.*its 2 restarts are used up/);
      assert.match(finding.wayOut, /service update --force web/);
    });

    it('says that its restarts within the window are used up', () => {
      model.addNode({ id: 'a' });
      const restart = RestartPolicy.create({ maxAttempts: 1, windowMs: 60_000, delayMs: 1000 });
      model.create('web', specOf({ container: { image: FAILING_IMAGE }, task: { restart } }));
      model.run(3_600_000);
      const { finding } = only(explain());
      assert.equal(finding?.kind, 'gave-up');
      assert.match(finding.reason, /exit code 1.*its one restart within 1m0s is used up \(--restart-max-attempts, --restart-window\)/);
    });

    it('says that its policy does not replace it', () => {
      model.addNode({ id: 'a' });
      model.create(
        'web',
        specOf({ container: { image: FAILING_IMAGE }, task: { restart: RestartPolicy.create({ condition: RestartCondition.NONE }) } }),
      );
      model.settle();
      assert.match(only(explain()).finding?.reason ?? '', /--restart-condition none/);
    });

    it('says which port does not answer', () => {
      model.addNode({ id: 'a' });
      model.create('web', specOf({ spec: { ports: [publish(8080, 80)] } }));
      model.settle();
      const [task] = model.tasks('web');
      const status = model.state.get('taskStatus', task?.id ?? '')?.value ?? assert.fail();
      model.world.change([
        row('taskStatus', status.taskId, { ...status, endpoints: status.endpoints.map((each) => ({ ...each, ready: false })) }),
      ]);
      const { finding } = only(explain());
      assert.equal(finding?.kind, 'not-ready');
      assert.match(finding.reason, /gets no connections: port 80 is not ready/);
      assert.match(finding.wayOut, /0\.0\.0\.0/);
    });

    it('says that nobody leads', () => {
      model.addNode({ id: 'a' });
      model.create('web', specOf());
      model.world.change([], [['leader', '']]);
      const { allRight, rollout } = explain();
      assert.deepEqual([allRight, kinds(rollout)], [false, ['no-leader']]);
    });
  });

  describe('of an update', () => {
    const rolling = (update: Partial<UpdateConfig> = {}): ServiceSpec =>
      specOf({
        spec: {
          replicas: 2,
          ports: [publish(8080, 80)],
          update: UpdateConfig.create({ parallelism: 1, monitorMs: 5000, order: UpdateOrder.STOP_FIRST, ...update }),
        },
      });
    const newImage =
      (image: string) =>
      (spec: ServiceSpec): ServiceSpec => {
        const { task } = spec;
        return { ...spec, task: { ...(task ?? assert.fail()), container: { ...(task?.container ?? assert.fail()), image } } };
      };

    beforeEach(() => {
      model.addNode({ id: 'a' });
      model.addNode({ id: 'b' });
    });

    it('names the meshes that have yet to acknowledge, then those with open connections', () => {
      model.create('web', rolling());
      model.settle();
      for (const { id } of model.tasks('web')) model.hosts.busy.add(id);
      model.update('web', newImage('nginx:2'));
      model.reconcile();
      model.reconcile();
      let { rollout } = explain();
      assert.ok(kinds(rollout).includes('task') || kinds(rollout).includes('drain-acks'), JSON.stringify(rollout));
      assert.match(rollout.map(({ reason }) => reason).join('\n'), /the mesh of host-a, host-b has yet to acknowledge/);
      model.hosts.acknowledge();
      ({ rollout } = explain());
      assert.match(rollout.map(({ reason }) => reason).join('\n'), /still has connections through host-a, host-b/);
      assert.match(
        rollout.map(({ reason }) => reason).join('\n'),
        /2 tasks of 2 have yet to be replaced|1 task of 2 have yet to be replaced/,
      );
    });

    it('names the monitor period and what is left of it', () => {
      model.create('web', rolling({ parallelism: 0 }));
      model.settle();
      model.update('web', newImage('nginx:2'));
      model.settle();
      for (const { id } of model.tasks('web')) {
        const status = model.state.get('taskStatus', id)?.value;
        if (status !== undefined) model.world.change([row('taskStatus', id, { ...status, sinceUnixMs: model.clock.wallMs() - 2000 })]);
      }
      const { rollout, tasks } = explain();
      assert.deepEqual([kinds(rollout), tasks], [['monitor'], []]);
      assert.match(rollout[0]?.reason ?? '', /the monitor period of 5s, about 3s left/);
    });

    it('says why it is paused and what to do', () => {
      model.create('web', rolling());
      model.settle();
      model.update('web', newImage(FAILING_IMAGE));
      model.run(2000);
      const [paused] = explain().rollout;
      assert.equal(paused?.kind, 'paused');
      assert.match(paused.reason, /update paused due to failure of task web/);
      assert.match(paused.wayOut, /service update --force web/);
    });
  });

  it('names published ports that a node could not open, and the task that has them', () => {
    model.addNode({ id: 'a' });
    model.create('web', specOf({ spec: { ports: [publish(8080, 80)] } }));
    model.settle();
    const status = model.state.get('nodeStatus', 'a')?.value ?? assert.fail();
    const problem = { protocol: 0 as const, publishedPort: 8080, message: 'port 8080 is taken by another program on this node' };
    model.world.change([
      row('byPort', 'tcp/8080', PortClaim.create({ objectId: 'web' })),
      row('nodeStatus', 'a', { ...status, portProblems: [problem] }),
    ]);
    const [port] = explain().ports;
    assert.match(port?.reason ?? '', /port 8080\/tcp is not open on host-a: port 8080 is taken by another program/);
    assert.match(port?.wayOut ?? '', /on host-a, `ss -ltnp 'sport = :8080'` names the program/);
    model.create(
      'proxy',
      specOf({ spec: { name: 'proxy', ports: [PortSpec.create({ mode: PortMode.HOST, publishedPort: 8080, targetPort: 1 })] } }),
    );
    model.settle();
    assert.match(explain().ports[0]?.reason ?? '', /proxy\.1 uses it as a host port there/);
  });

  it('names a port that is shared as HTTP for each service that publishes it', () => {
    model.addNode({ id: 'a' });
    model.create('web', specOf({ spec: { ports: [httpPort(80, 3000, 'a')] } }));
    model.settle();
    const status = model.state.get('nodeStatus', 'a')?.value ?? assert.fail();
    const problem = { protocol: PortProtocol.HTTP, publishedPort: 80, message: 'port 80 is taken' };
    const http = [
      HttpClaim.create({ serviceId: 'other', host: 'b', path: '/' }),
      HttpClaim.create({ serviceId: 'web', host: 'a', path: '/' }),
    ];
    model.world.change([
      row('byPort', 'tcp/80', PortClaim.create({ http })),
      row('nodeStatus', 'a', { ...status, portProblems: [problem] }),
    ]);
    assert.match(explain().ports[0]?.reason ?? '', /port 80\/tcp is not open on host-a: port 80 is taken/);
    assert.deepEqual([...portProblemsByService(model.state).keys()], ['other', 'web']);
  });
});
