import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import {
  ClusterView,
  Event,
  EventList,
  type ListServicesRequest,
  type ListTasksRequest,
  NodeSpec,
  PortProblem,
  type UpdateNodeRequest,
  type WatchEventsRequest,
} from '../../../proto/index.ts';
import { NOW_UNIX_MS, shoal } from '../../support/captured-shell.ts';
import { idOf, nodeView, serviceView, taskView } from '../../support/cli-fixtures.ts';
import { fakeControls } from '../../support/fake-control.ts';

describe('reading verbs', () => {
  const fakes = fakeControls();

  it('service ls sorts by name and passes filters on, values of one key together', async () => {
    let request: ListServicesRequest | undefined;
    const manager = await fakes.start({
      listServices: (given) => {
        request = given;
        return Promise.resolve({ services: [serviceView('web'), serviceView('api')], revision: 1 });
      },
    });
    const { stdout } = await shoal(['service', 'ls', '-q', '-f', 'name=web', '--filter', 'label=tier=front', '-f', 'name=api'], {
      manager,
    });
    assert.equal(stdout, `${idOf('api').slice(0, 12)}\n${idOf('web').slice(0, 12)}\n`);
    assert.deepEqual(request?.filters, [
      { key: 'name', values: ['web', 'api'] },
      { key: 'label', values: ['tier=front'] },
    ]);
  });

  it('service ps asks for the services named, and exits with 3 where one is unknown', async () => {
    let request: ListTasksRequest | undefined;
    const manager = await fakes.start({
      listTasks: (given) => {
        request = given;
        if (given.serviceRefs.includes('gone')) return Promise.reject(new ShoalError('not_found', 'there is no service gone'));
        return Promise.resolve({ tasks: [taskView('web.2'), taskView('web.1')], revision: 1 });
      },
    });
    const { stdout } = await shoal(['service', 'ps', 'web', '--format', '{{.Name}} on {{.Node}}: {{.CurrentState}}'], { manager });
    assert.equal(stdout, 'web.1 on host1: Running 3 minutes ago\nweb.2 on host1: Running 3 minutes ago\n');
    assert.deepEqual(request?.serviceRefs, ['web']);
    assert.equal((await shoal(['service', 'ps', 'web', 'gone'], { manager })).exitCode, 3);
  });

  it('service ps tells of ports that a node cannot answer, also one without a task of the service; not where fields are asked for', async () => {
    const problem = PortProblem.create({ publishedPort: 8080, message: 'port 8080 is taken by another program on this node' });
    const manager = await fakes.start({
      listTasks: () => Promise.resolve({ tasks: [taskView('web.1')], revision: 1 }),
      getService: () => Promise.resolve({ ...serviceView('web'), portProblems: [{ nodeId: 'n9', hostname: 'host9', problem }] }),
    });
    const { stderr, stdout, exitCode } = await shoal(['service', 'ps', 'web', 'web'], { manager });
    assert.match(stdout, /web\.1 .*host1/);
    assert.equal(stderr, 'warning: host9 does not answer port 8080: port 8080 is taken by another program on this node\n');
    assert.equal(exitCode, 0);
    for (const flags of [['-q'], ['--format', 'json']])
      assert.equal((await shoal(['service', 'ps', ...flags, 'web'], { manager })).stderr, '');
  });

  it('inspect prints what it finds, reports what it does not, and exits with the worst code', async () => {
    const manager = await fakes.start({
      getService: ({ ref }) =>
        ref === 'web' ? Promise.resolve(serviceView('web')) : Promise.reject(new ShoalError('not_found', `there is no service ${ref}`)),
    });
    const { exitCode, stdout, stderr } = await shoal(['service', 'inspect', 'gone', 'web'], { manager });
    assert.equal(exitCode, 3);
    assert.equal(stderr, 'shoal: there is no service gone\n');
    const [service] = JSON.parse(stdout) as readonly { readonly Spec: { readonly Name: string } }[];
    assert.equal(service?.Spec.Name, 'web');
    const format = '{{.Spec.TaskTemplate.ContainerSpec.Image}} {{.Version.Index}}{{if .UpdateStatus}} {{.UpdateStatus.State}}{{end}}';
    assert.equal((await shoal(['service', 'inspect', 'web', '--format', format], { manager })).stdout, 'nginx:1.25 10\n');
    assert.equal((await shoal(['service', 'inspect', 'web', '--format', '{{.Spec.Nme}}'], { manager })).exitCode, 2);
  });

  it('node ls, ps, inspect, update and rm go to the nodes', async () => {
    let updated: UpdateNodeRequest | undefined;
    const manager = await fakes.start({
      listNodes: ({ refs }) =>
        Promise.resolve({
          nodes: refs.includes('gone') ? [] : [nodeView('host1', { spec: NodeSpec.create({ labels: { ssd: 'true', old: '1' } }) })],
          revision: 1,
        }),
      getCluster: () => Promise.resolve(ClusterView.create({ managerId: idOf('host1') })),
      listTasks: () => Promise.resolve({ tasks: [taskView('web.1')], revision: 1 }),
      updateNode: (given) => {
        updated = given;
        return Promise.resolve(nodeView('host1'));
      },
      removeNode: ({ ref, force }) =>
        force
          ? Promise.resolve({ id: idOf(ref), name: ref, revision: 2 })
          : Promise.reject(new ShoalError('failed_precondition', `${ref} is up`)),
    });
    assert.match((await shoal(['node', 'ls'], { manager })).stdout, /^host1\S+ \* +host1 +Ready/m);
    assert.match((await shoal(['node', 'ps'], { manager })).stdout, /web\.1/);
    assert.match((await shoal(['node', 'inspect', 'host1', '--pretty'], { manager })).stdout, /^Hostname: +host1$/m);
    assert.equal((await shoal(['node', 'inspect', 'gone'], { manager })).exitCode, 3);
    const args = ['node', 'update', '--availability', 'drain', '--label-add', 'zone=eu', '--label-rm', 'old', 'host1'];
    assert.equal((await shoal(args, { manager })).stdout, 'host1\n');
    const spec = { role: 0, availability: 2, labels: { ssd: 'true', zone: 'eu' } };
    assert.deepEqual(updated, { ref: idOf('host1'), version: 4, spec, checkOnly: false });
    assert.equal((await shoal(['node', 'rm', 'host1'], { manager })).exitCode, 1);
    assert.equal((await shoal(['node', 'rm', '--force', 'host1'], { manager })).stdout, 'host1\n');
  });

  it('events prints a line each, and takes times as dates or durations', async () => {
    let request: WatchEventsRequest | undefined;
    const event = {
      timeUnixMs: NOW_UNIX_MS,
      type: 'service',
      action: 'update',
      objectId: idOf('web'),
      objectName: 'web',
      message: '',
      attributes: { replicas: '3' },
    };
    const manager = await fakes.start({
      watchEvents: (given, call) => {
        request = given;
        call.write(
          EventList.create({ revision: 5, events: [event, { ...event, type: 'task', action: 'state', message: 'no suitable node' }] }),
        );
        return Promise.resolve();
      },
    });
    const { stdout } = await shoal(['events', '--since', '1h', '--until', '2026-01-02T11:30:00Z', '-f', 'type=service'], { manager });
    assert.equal(
      stdout,
      `2026-01-02T12:00:00.000Z service update ${idOf('web')} (name=web, replicas=3)
2026-01-02T12:00:00.000Z task state ${idOf('web')} (name=web, replicas=3): no suitable node
`,
    );
    assert.equal(request?.sinceUnixMs, NOW_UNIX_MS - 3_600_000);
    assert.equal(request.untilUnixMs, NOW_UNIX_MS - 1_800_000);
    const template = ['events', '--since', '4', '--until', '5', '--format', '{{.Type}} {{.Actor.Attributes.replicas}} {{.Revision}}'];
    assert.equal((await shoal(template, { manager })).stdout, 'service 3 5\ntask 3 5\n');
    assert.deepEqual([request.sinceRevision, request.untilRevision, request.sinceUnixMs, request.untilUnixMs], [4, 5, 0, 0]);
    const wrong = await shoal(['events', '--since', 'yesterday'], { manager });
    assert.deepEqual([wrong.exitCode, /--since: "yesterday" is neither a revision such as 1234, nor a time/.test(wrong.stderr)], [2, true]);
  });

  it('events goes on from where it was when a manager goes away, and says what is no longer kept', async () => {
    const event = (name: string): Event => Event.create({ timeUnixMs: NOW_UNIX_MS, type: 'service', action: 'update', objectName: name });
    const asked: number[] = [];
    const manager = await fakes.start({
      watchEvents: (given, call) => {
        asked.push(given.sinceRevision);
        if (given.sinceRevision === 0) {
          call.write(EventList.create({ revision: 3, keptSinceUnixMs: NOW_UNIX_MS - 1000 }));
          call.write(EventList.create({ revision: 5, events: [event('one')] }));
          return Promise.resolve();
        }
        if (asked.length === 2) return Promise.reject(new ShoalError('unavailable', 'this manager is behind'));
        call.write(EventList.create({ revision: 5 }));
        call.write(EventList.create({ revision: 7, events: [event('two')] }));
        return Promise.reject(new ShoalError('compacted', 'events after revision 7 are no longer all kept'));
      },
    });
    const { stdout, stderr, exitCode } = await shoal(['events', '--since', '1h', '--format', '{{.Name}} {{.Revision}}'], { manager });
    assert.deepEqual([stdout, asked], ['one 5\ntwo 7\n', [0, 5, 5]]);
    assert.match(stderr, /^events from before 2026-01-02T11:59:59\.000Z are no longer kept\n.*events after revision 7/s);
    assert.equal(exitCode, 1);
  });

  it('version shows the client even where no manager answers', async () => {
    const cluster = {
      managerVersion: '9.9.9',
      storeDriver: 'etcd',
      leaderId: 'm1',
      nodes: 3,
      nodesReady: 2,
      services: 4,
      tasksRunning: 12,
    };
    const managers = [{ managerId: 'm1', address: '10.0.0.1:7420', startedUnixMs: 0 }];
    const manager = await fakes.start({ getCluster: () => Promise.resolve(ClusterView.create({ ...cluster, managers })) });
    const { stdout } = await shoal(['version'], { manager });
    assert.match(
      stdout,
      /^Client:\n Version: +\d+\.\d+\.\d+\n[\s\S]*\nCluster:\n Version: +9\.9\.9\n[\s\S]* Leader: +10\.0\.0\.1:7420\n Nodes: +2\/3 ready\n/,
    );
    assert.equal((await shoal(['version', '--format', '{{.Server.Store}}'], { manager })).stdout, 'etcd\n');
    const alone = await shoal(['version'], { manager: '127.0.0.1:1' });
    assert.equal(alone.exitCode, 5);
    assert.match(alone.stdout, /^Client:\n/);
    assert.doesNotMatch(alone.stdout, /Cluster/);
  });
});
