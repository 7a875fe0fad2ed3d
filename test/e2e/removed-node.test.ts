// Hosts that leave the cluster against their will, on real parts: one is removed while it lives, one loses its data folder.
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd, startCluster, type TestCluster } from '../support/cluster.ts';
import { requirement } from '../support/requirements.ts';
import { until } from '../support/until.ts';
import { allContainersOf, containersOf, createWeb, getFrom, urlsOf } from '../support/web-service.ts';

const PORT = 8080;

describe('hosts whose node was removed', () => {
  let cluster: TestCluster;

  before(async function () {
    requirement(this, 'docker', 'etcd', 'namespaces');
    cluster = await startCluster({ nodes: 3, store: 'etcd' });
    const created = await createWeb(cluster, 'web', PORT, '--replicas', '6');
    assert.equal(created.code, 0, created.stderr);
    assert.deepEqual(await counts(), [2, 2, 2]);
  });

  after(async () => {
    await (cluster as TestCluster | undefined)?.stop();
  });

  const counts = (): Promise<readonly number[]> =>
    Promise.all(cluster.hosts.map(async (_, index) => (await containersOf(cluster, index, 'web')).length));
  const nodes = async (status: string): Promise<readonly Readonly<Record<string, string>>[]> =>
    (await cluster.list('node', 'ls')).filter((node) => node['Status'] === status);
  const answersOn = async (index: number): Promise<string | undefined> => getFrom(cluster.client, urlsOf(cluster, PORT)[index] ?? '');
  const ready = async (index: number): Promise<string> => {
    const script = 'require("http").get("http://127.0.0.1:7422/readyz", (answer) => answer.pipe(process.stdout))';
    const host = cluster.hosts[index];
    assert.ok(host);
    return (await runToEnd(host, process.execPath, ['-e', script])).stdout;
  };

  it('stops the tasks and the mesh of a living node that is removed by force, and runs no more than was asked for', async () => {
    const removed = await cluster.shoal('node', 'rm', '--force', 'h3');
    assert.equal(removed.code, 0, removed.stderr);
    await until(async () => (await counts()).join() === '3,3,0', 'six containers on two hosts', 30_000);
    await until(
      async () => (await ready(2)).includes('was removed from the cluster; to join again'),
      () => `the agent says so: ${cluster.agents[2]?.log().slice(-1500) ?? ''}`,
    );
    assert.equal(await answersOn(2), undefined);
    for (const index of [0, 1]) assert.match((await answersOn(index)) ?? '', /^web\./);
    assert.equal((await cluster.list('node', 'ls')).length, 2);
  });

  it('says so after a restart too, and joins as a new node with an empty folder', async () => {
    const [agent] = cluster.agents.slice(2);
    await agent?.signal('SIGTERM');
    agent?.restart();
    await until(
      async () => (await ready(2)).includes('was removed from the cluster; to join again'),
      'the restarted agent says so',
      20_000,
    );
    await agent?.signal('SIGTERM');
    empty(cluster.agentFolder(2));
    agent?.restart();
    await until(async () => (await nodes('Ready')).length === 3, 'three nodes', 20_000);
    await until(async () => (await answersOn(2))?.startsWith('web.') === true, 'an answer of the new node', 20_000);
  });

  it('ends what a node left whose agent lost its folder: its mesh at once, its tasks when the node is removed', async () => {
    const [agent] = cluster.agents.slice(1);
    await agent?.signal('SIGKILL');
    empty(cluster.agentFolder(1));
    agent?.restart();
    await until(
      async () => (await nodes('Ready')).length === 3 && (await nodes('Down')).length === 1,
      'a new node, the old one down',
      30_000,
    );
    await until(async () => (await answersOn(1))?.startsWith('web.') === true, 'an answer of the new mesh', 20_000);
    await until(
      () => agent?.log().includes('shoal node rm') === true,
      () => `the way out: ${agent?.log().slice(-1500) ?? ''}`,
      30_000,
    );
    assert.ok((await counts())[1] !== 0, 'nothing is stopped before the node is removed');
    const [old] = await nodes('Down');
    const removed = await cluster.shoal('node', 'rm', old?.['ID']?.replace(' *', '') ?? '');
    assert.equal(removed.code, 0, removed.stderr);
    await until(
      async () => (await allContainersOf(cluster, 'web')).length === 6,
      () => `six containers: ${agent?.log().slice(-1500) ?? ''}`,
      40_000,
    );
  });
});

function empty(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
}
