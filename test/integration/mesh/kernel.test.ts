// The kernel path with real rules, real sockets and several hosts.
import assert from 'node:assert/strict';
import { draining } from '../../support/routes.ts';
import { kernelRoute, type KernelMesh, own, remote, startKernelMesh, TABLE, udpRoute } from '../../support/kernel-mesh.ts';
import { requirement } from '../../support/requirements.ts';
import { until } from '../../support/until.ts';
import type { RouteTarget } from '../../../proto/index.ts';

const PORT = 8080;
const NODE_PORT = 20_007;

describe('kernel path', function () {
  this.timeout(60_000);
  let mesh: KernelMesh;

  before(async function () {
    requirement(this, 'nftables', 'namespaces');
    mesh = await startKernelMesh();
    await mesh.container.serve(80, 'own');
    for (const [index, { actor }] of mesh.others.entries()) await actor.serve(NODE_PORT, `other${String(index + 1)}`);
  });
  beforeEach(() => mesh.start());
  afterEach(() => mesh.reset());
  after(async () => {
    await (mesh as KernelMesh | undefined)?.stop();
  });

  const host = (number: number) => {
    const found = mesh.others[number - 1];
    assert.ok(found);
    return found.host;
  };
  const other = (number: number, more: Partial<RouteTarget> = {}): RouteTarget =>
    remote(`o${String(number)}`, host(number), NODE_PORT, more);
  const ask = (times = 1): Promise<readonly string[]> => mesh.client.ask(mesh.node.address, PORT, times);
  const namesOf = (answers: readonly string[]): readonly string[] => answers.map((line) => line.split(' ')[0] ?? '').sort();

  it('sends connections to the replicas in turns; the own one sees the client, the others see the node', async () => {
    await mesh.table(kernelRoute(PORT, [own('a', mesh.node), other(1), other(2)]));
    const answers = [...(await ask(6))].sort();
    const node = mesh.node.address;
    assert.deepEqual(answers, [
      ...[`other1 ${node}`, `other1 ${node}`, `other2 ${node}`, `other2 ${node}`],
      ...[`own ${mesh.clientAddress}`, `own ${mesh.clientAddress}`],
    ]);
    assert.equal(await mesh.mapped('tcp', PORT), 6);
  });

  it('leaves clients on the node and in its containers to the proxy', async () => {
    await mesh.table(kernelRoute(PORT, [own('a', mesh.node)]));
    assert.deepEqual(await mesh.local.ask('127.0.0.1', PORT), ['own 172.30.0.1']);
    assert.deepEqual(await mesh.local.ask(mesh.node.address, PORT), ['own 172.30.0.1']);
    assert.deepEqual(await mesh.container.ask(mesh.node.address, PORT), ['own 172.30.0.1']);
    assert.equal(await mesh.mapped('tcp', PORT), 0);
  });

  it('lets a client wait at the listener while there is no replica', async () => {
    await mesh.table(kernelRoute(PORT, []));
    const answer = ask();
    await mesh.table(kernelRoute(PORT, [other(1)]));
    assert.deepEqual(namesOf(await answer), ['other1']);
  });

  it('gives canaries their share exactly, and a heavier replica more', async () => {
    await mesh.table(kernelRoute(PORT, [other(1), other(2, { canary: true })], { canaryPermille: 200 }));
    assert.deepEqual(namesOf(await ask(10)), [...Array<string>(8).fill('other1'), 'other2', 'other2']);
    await mesh.table(kernelRoute(PORT, [other(1, { weight: 3 }), other(2)]));
    assert.deepEqual(namesOf(await ask(4)), ['other1', 'other1', 'other1', 'other2']);
  });

  it('goes on without its mesh, and the next mesh takes the rules over', async () => {
    await mesh.table(kernelRoute(PORT, [other(1)]), kernelRoute(PORT + 1, [other(2)]));
    assert.match(await mesh.client.open('kept', mesh.node.address, PORT), /^other1/);
    await mesh.kill();
    assert.equal(await mesh.client.say('kept', 'one'), 'one');
    assert.deepEqual(namesOf(await ask(2)), ['other1', 'other1']);
    await mesh.start();
    assert.equal(await mesh.client.say('kept', 'two'), 'two');
    // Made once: its counter is still that of the mesh before.
    assert.equal(await mesh.mapped('tcp', PORT), 3);
    await mesh.table(kernelRoute(PORT, [other(2)]));
    assert.deepEqual(namesOf(await ask(2)), ['other2', 'other2']);
    assert.equal(await mesh.client.say('kept', 'three'), 'three');
    assert.doesNotMatch(await mesh.ruleset(), /tcp_8081/);
    await mesh.client.close('kept');
  });

  it('makes its rules anew when others have flushed them, and leaves theirs alone', async () => {
    await mesh.table(kernelRoute(PORT, [other(1)]));
    await mesh.node.run('nft', ['flush', 'ruleset']);
    await mesh.node.run('nft', ['add', 'table', 'inet', 'theirs']);
    await mesh.table(kernelRoute(PORT, [other(1), other(2)]));
    assert.deepEqual(namesOf(await ask(2)), ['other1', 'other2']);
    assert.equal(await mesh.mapped('tcp', PORT), 2);
    assert.match(await mesh.ruleset(), /table inet theirs/);
  });

  it('maps nothing new to a draining replica, which is idle when its last connection has ended', async () => {
    await mesh.table(kernelRoute(PORT, [other(1)]));
    assert.match(await mesh.client.open('kept', mesh.node.address, PORT), /^other1/);
    await mesh.table(kernelRoute(PORT, [draining(other(1)), other(2)]));
    assert.deepEqual(namesOf(await ask(3)), ['other2', 'other2', 'other2']);
    // One that has no connection is idle soon; this one has been looked at since.
    await mesh.table(kernelRoute(PORT, [draining(other(1)), draining(other(2)), own('a', mesh.node)]));
    const idle = (): readonly string[] => mesh.agent.last('idle')?.idleTaskIds ?? [];
    await until(() => idle().includes('o2'), 'the other one is idle', 10_000);
    assert.deepEqual(idle(), ['o2']);
    assert.equal(await mesh.client.say('kept', 'still'), 'still');
    await mesh.client.close('kept');
    await until(() => idle().length === 2, 'both are idle', 10_000);
  });

  it('unmaps a node that is cut off, and maps it again when it is back', async () => {
    await mesh.table(kernelRoute(PORT, [other(1), other(2)]));
    assert.deepEqual(namesOf(await ask(2)), ['other1', 'other2']);
    await host(1).cutOff();
    await until(async () => !(await mesh.ruleset()).includes(`${host(1).address} .`), 'unmapped', 10_000);
    assert.deepEqual(namesOf(await ask(3)), ['other2', 'other2', 'other2']);
    await host(1).reconnect();
    await until(async () => (await mesh.ruleset()).includes(`${host(1).address} .`), 'mapped again', 10_000);
    assert.deepEqual(namesOf(await ask(2)), ['other1', 'other2']);
  });

  it('takes IPv6 clients to replicas with IPv6 addresses, and others through the proxy', async () => {
    await mesh.node.run('sysctl', ['-qw', 'net.ipv6.conf.all.forwarding=1']);
    await mesh.addIpv6();
    await mesh.table(kernelRoute(PORT, [other(1, { nodeAddress: mesh.ipv6Of(host(1)) }), other(2)]));
    const v6 = mesh.ipv6Of(mesh.node);
    assert.deepEqual(await mesh.client.ask(v6, PORT, 2), [`other1 ${v6}`, `other1 ${v6}`]);
    assert.deepEqual(namesOf(await ask(2)), ['other2', 'other2']);
    await mesh.table(kernelRoute(PORT, [other(2)]));
    assert.deepEqual(namesOf(await mesh.client.ask(v6, PORT, 1)), ['other2']);
  });

  it('passes Docker’s filter by one rule of its own in DOCKER-USER', async () => {
    const iptables = (...args: readonly string[]) => mesh.node.run('iptables', ['-w', ...args]);
    await iptables('-P', 'FORWARD', 'DROP');
    await iptables('-N', 'DOCKER-USER');
    await iptables('-A', 'DOCKER-USER', '-j', 'RETURN');
    await iptables('-A', 'FORWARD', '-j', 'DOCKER-USER');
    await mesh.table(kernelRoute(PORT, [own('a', mesh.node), other(1)]));
    assert.deepEqual(namesOf(await ask(2)), ['other1', 'own']);
    await mesh.kill();
    await mesh.start();
    await mesh.table(kernelRoute(PORT, [own('a', mesh.node)]));
    const rules = (await iptables('-S', 'DOCKER-USER')).stdout.split('\n').filter((line) => line.includes(TABLE));
    assert.equal(rules.length, 1);
    await mesh.kill();
    await mesh.command('--purge');
    assert.doesNotMatch((await iptables('-S', 'DOCKER-USER')).stdout, new RegExp(TABLE));
  });

  it('leaves ports to the proxy where packets would not be forwarded, and says why', async () => {
    await mesh.node.run('sysctl', ['-qw', 'net.ipv4.ip_forward=0']);
    await mesh.table(kernelRoute(PORT, [other(1)]));
    assert.deepEqual(namesOf(await ask()), ['other1']);
    assert.doesNotMatch(await mesh.ruleset(), /numgen/);
    assert.match(mesh.log(), /does not forward packets; set net.ipv4.ip_forward to 1/);
  });

  it('leaves nothing behind when an agent ends the mesh for good', async () => {
    await mesh.node.run('nft', ['add', 'table', 'inet', 'theirs']);
    await mesh.table(kernelRoute(PORT, [other(1)]));
    mesh.agent.send({ case: 'stop', value: { drainPeriodMs: 0 } });
    await until(async () => !(await mesh.ruleset()).includes(TABLE), 'an empty kernel');
    assert.match(await mesh.ruleset(), /table inet theirs/);
  });

  it('leaves nothing behind after a purge of a node whose mesh is gone; a second purge finds nothing to do', async () => {
    await mesh.table(kernelRoute(PORT, [other(1)]));
    await mesh.kill();
    assert.match(await mesh.ruleset(), new RegExp(TABLE));
    await mesh.command('--purge');
    assert.equal((await mesh.ruleset()).includes(TABLE), false);
    await mesh.command('--purge');
  });
});

describe('kernel path for datagrams', function () {
  this.timeout(60_000);
  let mesh: KernelMesh;

  before(async function () {
    requirement(this, 'nftables', 'namespaces', 'conntrack');
    mesh = await startKernelMesh();
    await mesh.start();
    for (const [index, { actor }] of mesh.others.entries()) await actor.serve(NODE_PORT, `other${String(index + 1)}`);
  });
  after(async () => {
    await (mesh as KernelMesh | undefined)?.stop();
  });

  it('keeps a flow at its replica until that is gone, then moves it', async () => {
    const targets = mesh.others.map(({ host }, index) => remote(`o${String(index + 1)}`, host, NODE_PORT));
    const [first, second] = targets;
    assert.ok(first !== undefined && second !== undefined);
    await mesh.table(udpRoute(PORT, [first]));
    const send = (): Promise<string> => mesh.client.datagram('flow', mesh.node.address, PORT);
    assert.equal(await send(), `other1 ${mesh.node.address}`);
    await mesh.table(udpRoute(PORT, [draining(first), second]));
    assert.match(await send(), /^other1/);
    await mesh.table(udpRoute(PORT, [second]));
    assert.match(await send(), /^other2/);
    assert.equal(await mesh.mapped('udp', PORT), 2);
  });
});
