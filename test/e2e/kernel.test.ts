// A port that takes the kernel's path on three hosts with real engines: answered everywhere, through the death of a mesh and through updates; and nothing of
// it is left on a node that is purged.
import assert from 'node:assert/strict';
import { runToEnd, SHOAL, startCluster, type TestCluster } from '../support/cluster.ts';
import { TEST_IMAGE } from '../support/engine.ts';
import { startLoad } from '../support/load.ts';
import { type NetActor, startActor } from '../support/net-actor.ts';
import { requirement } from '../support/requirements.ts';
import { until } from '../support/until.ts';
import { getFrom, urlsOf } from '../support/web-service.ts';

const WEB = 8080;
const ECHO = 8081;
const SERVE_WEB = ['sh', '-c', 'echo "$(hostname) $ROUND" > /www/index.html; exec httpd -f -p 80 -h /www'];
/** One connection at a time: busybox' nc has no -k in Debian's build. */
const SERVE_ECHO = ['sh', '-c', "while :; do nc -l -p 80 -e sh -c 'hostname; exec cat'; done"];
/** The last of three: neither the manager nor the load is on it. */
const LAST = 2;

describe('a port on the kernel path, on three hosts', () => {
  let cluster: TestCluster;
  let client: NetActor;

  before(async function () {
    requirement(this, 'docker', 'nftables', 'namespaces');
    cluster = await startCluster({ nodes: 3, store: 'embedded' });
    client = startActor(cluster.client);
    await create('web', WEB, SERVE_WEB, '--replicas', '3');
    await create('echo', ECHO, SERVE_ECHO, '--replicas', '1');
  });

  after(async () => {
    (client as NetActor | undefined)?.stop();
    await (cluster as TestCluster | undefined)?.stop();
  });

  async function create(name: string, port: number, serve: readonly string[], ...flags: readonly string[]): Promise<void> {
    const fixed = ['--hostname', '{{.Task.Name}}', '--stop-signal', 'SIGKILL', '--no-resolve-image', '--timeout', '60s'];
    const publish = ['-p', `published=${port},target=80,path=kernel`];
    const made = await cluster.shoal('service', 'create', '--name', name, ...publish, ...fixed, ...flags, TEST_IMAGE, ...serve);
    assert.equal(made.code, 0, made.stderr);
  }

  const hostOf = (index: number) => {
    const host = cluster.hosts[index];
    assert.ok(host);
    return host;
  };
  const rulesetOf = async (index: number): Promise<string> => (await hostOf(index).run('nft', ['list', 'ruleset'])).stdout;
  /** Connections of the port that the host's kernel has mapped. */
  const mappedOn = async (index: number, port: number): Promise<number> =>
    Number(new RegExp(`counter tcp_${port} \\{\\s+packets (\\d+)`).exec(await rulesetOf(index))?.[1] ?? '0');
  const urls = (): readonly string[] => urlsOf(cluster, WEB);

  it('is answered on every host by every replica, past the mesh', async () => {
    for (const [index, url] of urls().entries()) {
      await until(async () => (await mappedOn(index, WEB)) >= 3 || (await getFrom(cluster.client, url), false), 'three mapped', 30_000);
      const answers = await Promise.all([1, 2, 3].map(() => getFrom(cluster.client, url)));
      assert.equal(new Set(answers.map((answer) => answer?.split('.')[1])).size, 3, JSON.stringify(answers));
    }
  });

  it('keeps established connections and answers new ones while a mesh is dead and after', async () => {
    assert.match(await client.open('kept', hostOf(LAST).address, ECHO), /^echo\./);
    const load = await startLoad(cluster.client, urls(), 2);
    const mappedBefore = await mappedOn(LAST, WEB);
    await cluster.killMesh(LAST);
    assert.equal(await client.say('kept', 'while it is dead'), 'while it is dead');
    await until(async () => (await mappedOn(LAST, WEB)) > mappedBefore + 20, 'connections past a mesh that was killed', 30_000);
    assert.equal(await client.say('kept', 'after'), 'after');
    const { failures, requests } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(requests > 0);
  });

  it('loses no connection in rolling updates under load', async () => {
    const load = await startLoad(cluster.client, urls(), 4);
    const rounds = ['one', 'two', 'three'];
    for (const round of rounds) {
      const flags = ['--update-order', 'start-first', '--update-parallelism', '1', '--update-monitor', '0s', '--timeout', '120s'];
      const updated = await cluster.shoal('service', 'update', ...flags, '--env-add', `ROUND=${round}`, 'web');
      assert.equal(updated.code, 0, updated.stderr);
    }
    const { failures, answers } = await load.stop();
    assert.deepEqual(failures, []);
    for (const round of rounds) {
      assert.ok(
        Object.keys(answers).some((answer) => answer.endsWith(round)),
        `version ${round} answered: ${JSON.stringify(answers)}`,
      );
    }
  });

  it('leaves nothing in the kernel of a node that is purged', async () => {
    assert.match(await rulesetOf(LAST), /table inet shoal_/);
    const agent = cluster.agents[LAST];
    assert.ok(agent);
    await agent.signal('SIGTERM');
    const engine = `unix://${cluster.engines[LAST]?.socketPath ?? ''}`;
    const purge = ['agent', '--purge', '--kill', '--data-dir', cluster.agentFolder(LAST), '--docker-host', engine];
    const purged = await runToEnd(hostOf(LAST), process.execPath, [SHOAL, ...purge]);
    assert.equal(purged.code, 0, purged.stderr);
    assert.doesNotMatch(await rulesetOf(LAST), /shoal/);
  });
});
