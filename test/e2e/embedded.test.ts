// One manager with the embedded store: what it has answered for survives kill -9, and tasks do not notice.
import assert from 'node:assert/strict';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { requirement } from '../support/requirements.ts';
import { until } from '../support/until.ts';
import { allContainersOf, createWeb, getFrom, spreadOf, urlsOf } from '../support/web-service.ts';

const PORT = 8080;

describe('a cluster of two hosts on the embedded store', () => {
  let cluster: TestCluster;

  before(async function () {
    requirement(this, 'docker', 'namespaces');
    cluster = await startCluster({ nodes: 2, store: 'embedded' });
  });

  after(async () => {
    await (cluster as TestCluster | undefined)?.stop();
  });

  it('carries on after kill -9 of its manager right behind an answered scale', async () => {
    const created = await createWeb(cluster, 'web', PORT, '--replicas', '2');
    assert.equal(created.code, 0, created.stderr);
    const before = await allContainersOf(cluster, 'web');
    const scaled = await cluster.shoal('service', 'scale', '--detach', 'web=6');
    assert.equal(scaled.code, 0, scaled.stderr);
    await cluster.manager.signal('SIGKILL');
    const answers = await Promise.all(urlsOf(cluster, PORT).map((url) => getFrom(cluster.client, url)));
    assert.ok(answers.every((answer) => answer?.startsWith('web.') === true));
    cluster.manager.restart();
    await until(async () => (await allContainersOf(cluster, 'web')).length === 6, 'six containers', 30_000);
    await until(async () => Object.values(await spreadOf(cluster, 'web')).join() === '3,3', 'three on each host', 30_000);
    const now = await allContainersOf(cluster, 'web');
    assert.deepEqual(
      before.filter((name) => !now.includes(name)),
      [],
    );
  });
});
