// Canaries and pauses on real parts: three engines on hosts of their own, the mesh on each, a client that never stops asking.
import assert from 'node:assert/strict';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { type Load, type LoadResult, startLoad } from '../support/load.ts';
import { requirement } from '../support/requirements.ts';
import { until } from '../support/until.ts';
import { allContainersOf, createWeb, getFrom, urlsOf } from '../support/web-service.ts';

const PORT = 8080;
const REPLICAS = 6;
const NEW = "sh -c 'echo new > /www/index.html; exec httpd -f -p 80 -h /www'";

describe('canaries and pauses on three hosts', () => {
  let cluster: TestCluster;

  before(async function () {
    requirement(this, 'docker', 'etcd', 'namespaces');
    cluster = await startCluster({ nodes: 3, store: 'etcd' });
    const created = await createWeb(cluster, 'web', PORT, '--replicas', String(REPLICAS));
    assert.equal(created.code, 0, created.stderr);
    await shoal('service', 'update', '-q', '--publish-rm', '80', '--publish-add', `${PORT}:80/http`, 'web');
  });

  after(async () => {
    await (cluster as TestCluster | undefined)?.stop();
  });

  const shoal = async (...args: readonly string[]): Promise<string> => {
    const result = await cluster.shoal(...args);
    assert.equal(result.code, 0, `shoal ${args.join(' ')}: ${result.stdout}${result.stderr}`);
    return `${result.stdout}${result.stderr}`;
  };
  /** Of a load that goes on while `during` runs. None of its requests may fail. */
  const underLoad = async (urls: readonly string[], during: (load: Load) => Promise<unknown>): Promise<LoadResult> => {
    const load = await startLoad(cluster.client, urls, 4);
    await during(load);
    const result = await load.stop();
    assert.deepEqual(result.failures, []);
    assert.deepEqual(
      Object.keys(result.answers).filter((answer) => !answer.startsWith('200 ')),
      [],
    );
    return result;
  };
  const shareOfNew = ({ answers }: LoadResult): number => {
    const total = Object.values(answers).reduce((sum, count) => sum + count, 0);
    assert.ok(total > 500, `only ${total} requests were answered`);
    return (answers['200 new'] ?? 0) / total;
  };
  const some = (load: Load): Promise<void> => load.answered(2000);

  it('gives a canary its share of the requests, more when that is changed, all when it is promoted, and fails none', async () => {
    const web = urlsOf(cluster, PORT);
    await underLoad(web, async () => {
      const told = await shoal('service', 'update', '--canary', '10%', '--args', NEW, '--timeout', '60s', 'web');
      assert.match(told, /canary 10%: 1 of 1 task of spec 3 .* up: .*--promote web/);
    });
    assert.equal((await allContainersOf(cluster, 'web')).length, REPLICAS + 1);
    const tenth = shareOfNew(await underLoad(web, some));
    assert.ok(Math.abs(tenth - 0.1) < 0.02, `the canary got ${tenth}`);
    await underLoad(web, () => shoal('service', 'update', '--canary', '50%', '--timeout', '60s', 'web'));
    const half = shareOfNew(await underLoad(web, some));
    assert.ok(Math.abs(half - 0.5) < 0.02, `the canary got ${half}`);
    await underLoad(web, () => shoal('service', 'update', '--promote', '--timeout', '120s', 'web'));
    assert.equal(shareOfNew(await underLoad(web, some)), 1);
    await until(async () => (await allContainersOf(cluster, 'web')).length === REPLICAS, 'six containers again', 30_000);
  });

  it('gives it up without a failed request', async () => {
    const web = urlsOf(cluster, PORT);
    await underLoad(web, async () => {
      await shoal('service', 'update', '--canary', '25%', '--env-add', 'A=1', '--timeout', '60s', 'web');
      await shoal('service', 'update', '--abort', '--timeout', '60s', 'web');
    });
    await until(async () => (await allContainersOf(cluster, 'web')).length === REPLICAS, 'six containers again', 30_000);
    assert.match(await shoal('service', 'history', 'web'), /active +rollback to/);
  });

  it('goes back by itself from one that fails, without a failed request', async () => {
    await underLoad(urlsOf(cluster, PORT), async () => {
      const flags = ['--canary', '10%', '--update-failure-action', 'rollback', '--args', "sh -c 'exit 3'", '--timeout', '60s'];
      const { code, stderr } = await cluster.shoal('service', 'update', ...flags, 'web');
      assert.equal(code, 6, stderr);
      assert.match(stderr, /web is back at its earlier spec: canary rolled back due to failure of task web\.\d/);
    });
  });

  it('holds the requests to a single replica while that is replaced stop-first, and fails none', async () => {
    const created = await createWeb(cluster, 'one', 8081, '--replicas', '1', '--update-order', 'stop-first');
    assert.equal(created.code, 0, created.stderr);
    await underLoad(urlsOf(cluster, 8081), async () => {
      for (const version of ['1', '2', '3']) await shoal('service', 'update', '--env-add', `VERSION=${version}`, '--timeout', '60s', 'one');
    });
    assert.equal((await allContainersOf(cluster, 'one')).length, 1);
  });

  it('lets clients wait while a service is paused, and serves them when it goes on', async () => {
    const [url = ''] = urlsOf(cluster, 8081);
    await underLoad(urlsOf(cluster, 8081), async () => {
      await shoal('service', 'pause', '--for', '30s', 'one');
      await until(async () => (await getFrom(cluster.client, url)) === undefined, 'a client that waits for longer than it has time');
      const waiting = getFrom(cluster.client, url);
      await shoal('service', 'resume', 'one');
      assert.match((await waiting) ?? '', /^one\./);
    });
  });
});
