// The main job on real parts: etcd, three engines on hosts of their own, the mesh on each.
import assert from 'node:assert/strict';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { startLoad } from '../support/load.ts';
import { requirement } from '../support/requirements.ts';
import { until } from '../support/until.ts';
import { allContainersOf, containersOf, createWeb, getFrom, killContainer, spreadOf, urlsOf } from '../support/web-service.ts';

const PORT = 8080;
/** What createWeb's containers run, as `--args` takes it. */
const SERVE_COMMAND = "sh -c 'hostname > /www/index.html; exec httpd -f -p 80 -h /www'";

describe('a cluster of three hosts on etcd', () => {
  let cluster: TestCluster;

  before(async function () {
    requirement(this, 'docker', 'etcd', 'namespaces');
    cluster = await startCluster({ nodes: 3, store: 'etcd' });
  });

  after(async () => {
    await (cluster as TestCluster | undefined)?.stop();
  });

  const shoal = async (...args: readonly string[]): Promise<void> => {
    const result = await cluster.shoal(...args);
    assert.equal(result.code, 0, `shoal ${args.join(' ')}: ${result.stdout}${result.stderr}`);
  };
  const answersEverywhere = async (): Promise<boolean> => {
    const answers = await Promise.all(urlsOf(cluster, PORT).map((url) => getFrom(cluster.client, url)));
    return answers.every((answer) => answer?.startsWith('web.') === true);
  };
  const converged = async (expected: Readonly<Record<string, number>>, deadlineMs = 30_000): Promise<void> => {
    const total = Object.values(expected).reduce((sum, count) => sum + count, 0);
    let seen: unknown;
    await until(
      async () => {
        const spread = await spreadOf(cluster, 'web');
        seen = spread;
        assert.deepEqual(spread, expected);
        return (await allContainersOf(cluster, 'web')).length === total;
      },
      () => `${JSON.stringify(expected)}; there is ${JSON.stringify(seen)}`,
      deadlineMs,
    );
  };

  it('answers a published port on every node, also where no replica runs', async () => {
    const created = await createWeb(cluster, 'web', PORT, '--replicas', '1');
    assert.equal(created.code, 0, created.stderr);
    assert.ok(await answersEverywhere());
  });

  it('scales 1 -> 30 -> 3, exact and evenly spread each time', async () => {
    await shoal('service', 'scale', 'web=30', '--timeout', '90s');
    await converged({ h1: 10, h2: 10, h3: 10 });
    await shoal('service', 'scale', 'web=3', '--timeout', '90s');
    await converged({ h1: 1, h2: 1, h3: 1 });
    assert.ok(await answersEverywhere());
  });

  it('replaces a killed container', async () => {
    const [victim = ''] = await containersOf(cluster, 1, 'web');
    await killContainer(cluster, 1, victim);
    await until(async () => !(await containersOf(cluster, 1, 'web')).includes(victim), 'the end of the container');
    await until(async () => (await allContainersOf(cluster, 'web')).length === 3, 'three containers again', 20_000);
    const history = await cluster.list('service', 'ps', 'web', '--no-trunc');
    const failed = history.find((task) => (task['CurrentState'] ?? '').startsWith('Failed'));
    assert.match(failed?.['Error'] ?? '', /137/);
  });

  it('shows no failed request while 6 replicas become 2 and 6 again', async () => {
    await shoal('service', 'scale', 'web=6', '--timeout', '60s');
    const load = await startLoad(cluster.client, urlsOf(cluster, PORT), 4);
    for (const replicas of [2, 6]) await shoal('service', 'scale', `web=${replicas}`, '--timeout', '60s');
    const { failures, requests } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(requests > 100, `only ${requests} requests were made`);
  });

  it('refuses no connection to a node while containers are killed one at a time', async () => {
    const load = await startLoad(cluster.client, urlsOf(cluster, PORT), 4);
    let kills = 0;
    for (const index of [0, 1, 2]) {
      const [victim] = await containersOf(cluster, index, 'web');
      if (victim === undefined) continue;
      await killContainer(cluster, index, victim);
      kills++;
      await until(async () => (await allContainersOf(cluster, 'web')).length === 6, 'six containers again', 20_000);
    }
    const { failures } = await load.stop();
    assert.deepEqual(
      failures.filter((failure) => failure.stage === 'connect'),
      [],
    );
    // At most what the client had under way when a container died: four requests at a time.
    assert.ok(failures.length <= kills * 4, JSON.stringify(failures));
  });

  it('rolls an update over all replicas without a failed request', async () => {
    const load = await startLoad(cluster.client, urlsOf(cluster, PORT), 4);
    const before = await allContainersOf(cluster, 'web');
    const updated = await cluster.shoal(
      'service',
      'update',
      '--env-add',
      'VERSION=2',
      '--update-parallelism',
      '2',
      '--timeout',
      '90s',
      'web',
    );
    const { failures } = await load.stop();
    assert.equal(updated.code, 0, updated.stderr);
    assert.deepEqual(failures, []);
    const now = await allContainersOf(cluster, 'web');
    assert.equal(now.length, 6);
    assert.deepEqual(
      now.filter((name) => before.includes(name)),
      [],
    );
  });

  it('empties a drained node, and gives it work again when it is active', async () => {
    await shoal('node', 'update', '--availability', 'drain', 'h2');
    await until(async () => (await containersOf(cluster, 1, 'web')).length === 0, 'an empty node', 30_000);
    await until(async () => (await allContainersOf(cluster, 'web')).length === 6, 'all replicas elsewhere', 30_000);
    assert.ok(await answersEverywhere());
    await shoal('node', 'update', '--availability', 'active', 'h2');
    await shoal('service', 'scale', 'web=9', '--timeout', '60s');
    assert.equal((await containersOf(cluster, 1, 'web')).length, 3);
  });

  it('leaves running tasks alone when agents are killed, and adopts them', async () => {
    const before = await allContainersOf(cluster, 'web');
    for (const agent of cluster.agents) await agent.signal('SIGKILL');
    assert.ok(await answersEverywhere());
    for (const agent of cluster.agents) agent.restart();
    await until(async () => (await cluster.list('node', 'ls')).every((node) => node['Status'] === 'Ready'), 'all nodes ready', 20_000);
    await converged(await spreadOf(cluster, 'web'));
    assert.deepEqual(await allContainersOf(cluster, 'web'), before);
  });

  it('goes on without manager and etcd, and is right again when they are back', async () => {
    const before = await allContainersOf(cluster, 'web');
    await cluster.manager.signal('SIGKILL');
    await cluster.etcd?.signal('SIGKILL');
    assert.ok(await answersEverywhere());
    const refused = await cluster.shoal('service', 'ls');
    assert.equal(refused.code, 5, refused.stderr);
    cluster.etcd?.restart();
    cluster.manager.restart();
    await until(async () => (await cluster.list('node', 'ls')).every((node) => node['Status'] === 'Ready'), 'all nodes ready', 30_000);
    assert.deepEqual(await allContainersOf(cluster, 'web'), before);
    await shoal('service', 'scale', 'web=3', '--timeout', '60s');
    await converged({ h1: 1, h2: 1, h3: 1 });
  });

  it('restarts a killed mesh, whose port is answered again', async () => {
    for (const index of cluster.hosts.keys()) await cluster.killMesh(index);
    await until(answersEverywhere, 'answers on every node', 10_000);
    assert.equal((await allContainersOf(cluster, 'web')).length, 3);
  });

  it('replaces a mesh that hangs, once it holds up the stop of a task', async () => {
    await shoal('service', 'scale', 'web=6', '--timeout', '60s');
    const { stdout } = await cluster.client.run('pgrep', ['-f', `mesh --data-dir ${cluster.agentFolder(1)}/mesh`]);
    await cluster.client.run('kill', ['-STOP', stdout.trim()]);
    await shoal('service', 'scale', 'web=3', '--timeout', '60s');
    await converged({ h1: 1, h2: 1, h3: 1 });
    await until(answersEverywhere, 'answers on every node', 20_000);
  });

  it('pauses an update that fails while the old replicas serve on, and recovers with a better one', async () => {
    const before = await allContainersOf(cluster, 'web');
    const load = await startLoad(cluster.client, urlsOf(cluster, PORT), 2);
    const bad = await cluster.shoal('service', 'update', '--args', "sh -c 'exit 3'", '--timeout', '30s', 'web');
    assert.equal(bad.code, 6, bad.stderr);
    assert.match(bad.stderr, /paused due to failure of task web\.\d.*exit code 3/);
    const kept = await allContainersOf(cluster, 'web');
    assert.ok(
      before.every((name) => kept.includes(name)),
      'an old replica is gone',
    );
    await shoal('service', 'update', '--args', SERVE_COMMAND, '--env-add', 'VERSION=3', '--timeout', '60s', 'web');
    const { failures } = await load.stop();
    assert.deepEqual(failures, []);
    await converged({ h1: 1, h2: 1, h3: 1 });
  });

  it('replaces the tasks of a host that is cut off, and has the exact number again when it is back', async () => {
    const [host] = cluster.hosts.slice(2);
    await host?.cutOff();
    const majority = (): Promise<readonly string[][]> =>
      Promise.all([0, 1].map(async (index) => [...(await containersOf(cluster, index, 'web'))]));
    await until(async () => (await majority()).flat().length === 3, 'three containers on the majority side', 20_000);
    const answers = (): Promise<readonly (string | undefined)[]> =>
      Promise.all(
        urlsOf(cluster, PORT)
          .slice(0, 2)
          .map((url) => getFrom(cluster.client, url)),
      );
    await until(async () => (await answers()).every((answer) => answer?.startsWith('web.')), 'answers on the majority side');
    await host?.reconnect();
    await until(async () => (await cluster.list('node', 'ls')).every((node) => node['Status'] === 'Ready'), 'all nodes ready', 20_000);
    await until(async () => (await allContainersOf(cluster, 'web')).length === 3, 'three containers in all', 20_000);
    assert.equal((await containersOf(cluster, 2, 'web')).length, 0);
    await until(answersEverywhere, 'answers on every node', 10_000);
  });

  it('makes a service anew under the name and port of one just removed', async () => {
    await shoal('service', 'rm', 'web');
    const created = await createWeb(cluster, 'web', PORT, '--replicas', '3');
    assert.equal(created.code, 0, created.stderr);
    await converged({ h1: 1, h2: 1, h3: 1 });
    assert.ok(await answersEverywhere());
  });

  it('says why a task waits, and forgets a removed service', async () => {
    const pending = await cluster.shoal(
      'service',
      'create',
      '--name',
      'big',
      '--reserve-memory',
      '900g',
      '--no-resolve-image',
      '--timeout',
      '3s',
      'shoal-test:1',
      'sleep',
      '1',
    );
    assert.equal(pending.code, 6, pending.stderr);
    assert.match(pending.stdout + pending.stderr, /insufficient resources on 3 nodes/);
    await shoal('service', 'rm', 'big', 'web');
    await until(async () => (await allContainersOf(cluster, 'web')).length === 0, 'no container left', 30_000);
    assert.equal((await cluster.shoal('service', 'inspect', 'web')).code, 3);
  });
});
