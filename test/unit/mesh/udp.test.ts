import assert from 'node:assert/strict';
import { IngressSettings, PortProtocol } from '../../../proto/index.ts';
import { draining, routeOf, targetOf } from '../../support/routes.ts';
import { openUdp, startUdpMesh, type UdpEnd, type UdpMesh, type UdpMeshOptions } from '../../support/udp-mesh.ts';
import { until } from '../../support/until.ts';

describe('the udp path', () => {
  let mesh: UdpMesh;
  const ends: UdpEnd[] = [];

  const start = async (options?: UdpMeshOptions): Promise<void> => {
    mesh = await startUdpMesh(options);
  };
  const keep = async (opening: Promise<UdpEnd>): Promise<UdpEnd> => {
    const end = await opening;
    ends.push(end);
    return end;
  };
  const client = (): Promise<UdpEnd> => keep(openUdp());
  /** Answers "name text". */
  const replica = (name: string): Promise<UdpEnd> => keep(openUdp((text) => `${name} ${text}`));

  afterEach(async () => {
    await mesh.stop();
    assert.equal(mesh.udp.upstreamSockets, 0, 'no socket is left');
    for (const end of ends.splice(0)) end.close();
  });

  for (const [what, ownSocketsPerReplica] of [
    ['a socket of its own', 256],
    ['a shared socket', 0],
  ] as const) {
    describe(`with ${what} per flow`, () => {
      beforeEach(() => start({ ownSocketsPerReplica }));

      it('brings datagrams to a replica and the answers back, from the address that the client knows', async () => {
        const { port } = await replica('a');
        await mesh.route([targetOf('a', port)]);
        const one = await client();
        assert.equal(await mesh.ask(one, 'hello'), 'a hello');
        assert.deepEqual([one.from[0]?.address, one.from[0]?.port], [mesh.address, mesh.port]);
        const { flows, open, datagramsToClients, bytesToClients } = mesh.counters();
        assert.deepEqual([flows, open, bytesToClients], [1, 1, 7 * datagramsToClients]);
      });

      it('keeps a client with its replica, and each answer with its client', async () => {
        const names = ['a', 'b', 'c'];
        const targets = await Promise.all(names.map(async (name) => targetOf(name, (await replica(name)).port)));
        await mesh.route(targets);
        const clients = await Promise.all(Array.from({ length: 30 }, client));
        const chosen = await Promise.all(clients.map(async (each, index) => (await mesh.ask(each, `${index}`)).split(' ')[0]));
        assert.equal(new Set(chosen).size, 3, 'all replicas have clients');
        for (let round = 0; round < 3; round++) {
          for (const [index, each] of clients.entries()) {
            assert.equal(await mesh.ask(each, `${index}/${round}`), `${chosen[index]} ${index}/${round}`);
          }
        }
        assert.equal(mesh.ports.connections, 30);
        assert.ok(ownSocketsPerReplica > 0 || mesh.udp.upstreamSockets < 30, 'flows to different replicas share a socket');
      });

      it('brings empty and the largest datagrams', async () => {
        const echo = await keep(openUdp((text) => text));
        await mesh.route([targetOf('a', echo.port)]);
        const one = await client();
        for (const length of [0, 1, 65_507]) assert.equal((await mesh.ask(one, 'x'.repeat(length))).length, length);
      });

      it('moves a flow at once when its replica leaves the table', async () => {
        const a = targetOf('a', (await replica('a')).port);
        const b = targetOf('b', (await replica('b')).port);
        await mesh.route([a]);
        const one = await client();
        assert.equal(await mesh.ask(one, '1'), 'a 1');
        await mesh.route([b]);
        assert.equal(await mesh.ask(one, '2'), 'b 2');
        assert.deepEqual([mesh.counters().moved, mesh.counters().flows], [1, 1]);
      });

      it('leaves flows with a draining replica, gives it no new ones, and reports it idle when they are gone', async () => {
        const a = targetOf('a', (await replica('a')).port);
        const b = targetOf('b', (await replica('b')).port);
        const settings = IngressSettings.create({ idleTimeoutMs: 300 });
        await mesh.route([a], { settings });
        const old = await client();
        assert.equal(await mesh.ask(old, '1'), 'a 1');
        await mesh.route([draining(a), b], { settings });
        assert.deepEqual(mesh.ports.idle(), []);
        assert.equal(await mesh.ask(old, '2'), 'a 2');
        assert.equal(await mesh.ask(await client(), '3'), 'b 3');
        await until(() => mesh.ports.idle().includes('a'), 'the flow has ended');
        assert.deepEqual(mesh.idleCalls, [['a']]);
        assert.equal(await mesh.ask(old, '4'), 'b 4');
      });

      it('takes no answer from others than the replica', async () => {
        const target = await replica('a');
        await mesh.route([targetOf('a', target.port)]);
        const one = await client();
        await mesh.ask(one, '1');
        const stranger = await client();
        stranger.socket.send('not yours', target.from[0]?.port ?? 0, '127.0.0.1');
        assert.equal(await mesh.ask(one, '2'), 'a 2');
        assert.equal(one.got.includes('not yours'), false);
      });
    });
  }

  it('moves a flow whose replica refuses, and passes over that replica', async () => {
    await start();
    const gone = await openUdp();
    gone.close();
    const dead = targetOf('dead', gone.port);
    await mesh.route([dead]);
    const one = await client();
    await until(() => {
      one.socket.send('anybody?', mesh.port, mesh.address);
      return mesh.counters().replicaFailures > 1;
    }, 'refusals are seen');
    await mesh.route([dead, targetOf('b', (await replica('b')).port)]);
    assert.equal(await mesh.ask(one, '1'), 'b 1');
    const failures = mesh.counters().replicaFailures;
    for (let i = 0; i < 10; i++) assert.equal(await mesh.ask(await client(), '2'), 'b 2');
    assert.equal(mesh.counters().replicaFailures, failures);
  });

  it('moves the flows that share sockets too, when another one finds that their replica refuses', async () => {
    await start({ ownSocketsPerReplica: 1 });
    const a = await replica('a');
    await mesh.route([targetOf('a', a.port)]);
    const own = await client();
    const sharing = await client();
    for (const each of [own, sharing]) await mesh.ask(each, '1');
    await mesh.route([targetOf('a', a.port), targetOf('b', (await replica('b')).port)]);
    a.close();
    await until(() => {
      own.socket.send('2', mesh.port, mesh.address);
      return mesh.counters().replicaFailures > 0;
    }, 'a refusal is seen');
    assert.equal(await mesh.ask(sharing, '3'), 'b 3');
  });

  it('forgets flows on which nothing moves', async () => {
    await start();
    await mesh.route([targetOf('a', (await replica('a')).port)], { settings: IngressSettings.create({ idleTimeoutMs: 100 }) });
    await mesh.ask(await client(), '1');
    await until(() => mesh.counters().open === 0, 'it is forgotten');
    assert.deepEqual([mesh.counters().expired, mesh.udp.upstreamSockets, mesh.ports.connections], [1, 0, 0]);
  });

  it('gives up the quietest flow when there are too many', async () => {
    await start();
    await mesh.route([targetOf('a', (await replica('a')).port)], { settings: IngressSettings.create({ maxConnections: 2 }) });
    const [quiet, busy, late] = [await client(), await client(), await client()];
    for (const each of [quiet, busy, quiet, busy, late]) await mesh.ask(each, '1');
    assert.deepEqual([mesh.counters().open, mesh.counters().evicted, mesh.counters().flows], [2, 1, 3]);
    await mesh.ask(busy, '2');
    assert.equal(mesh.counters().flows, 3, 'the busy one is still known');
  });

  it('drops and counts what comes while there is no replica, or the port is paused, and serves the client that sends again', async () => {
    await start();
    await mesh.route([]);
    const one = await client();
    one.socket.send('1', mesh.port, mesh.address);
    await until(() => mesh.counters().droppedNoReplica === 1, 'dropped');
    const target = targetOf('a', (await replica('a')).port);
    await mesh.route([target], { paused: true });
    one.socket.send('2', mesh.port, mesh.address);
    await until(() => mesh.counters().droppedNoReplica === 2, 'dropped');
    await mesh.route([target]);
    assert.equal(await mesh.ask(one, '3'), 'a 3');
  });

  it('answers from the address that was asked, on every address of the host, also one that comes later', async () => {
    const own = ['127.0.0.1'];
    await start({ hostAddresses: () => own });
    await mesh.route([targetOf('a', (await replica('a')).port)]);
    const one = await client();
    await mesh.ask(one, '1', '127.0.0.1');
    assert.equal(one.from.at(-1)?.address, '127.0.0.1');
    own.push(mesh.address, '192.0.2.99');
    await mesh.apply([]);
    await mesh.route([targetOf('a', (await replica('a')).port)]);
    await mesh.ask(one, '2', mesh.address);
    assert.equal(one.from.at(-1)?.address, mesh.address);
    assert.deepEqual(mesh.ports.problems(), [], 'an address that the host has no longer is no problem');
  });

  it('serves IPv6 clients and replicas', async () => {
    await start({ hostAddresses: () => ['::1', '127.0.0.1'] });
    const six = await keep(openUdp((text) => `six ${text}`, '::1'));
    await mesh.route([targetOf('six', six.port, { nodeAddress: '::1' })]);
    assert.equal(await mesh.ask(await keep(openUdp(undefined, '::1')), '1', '::1'), 'six 1');
    assert.equal(await mesh.ask(await client(), '2', '127.0.0.1'), 'six 2');
  });

  it('reports a port that something else holds, in plain words', async () => {
    await start();
    const holder = await keep(openUdp(undefined, mesh.address));
    await mesh.apply([routeOf(holder.port, [], { protocol: PortProtocol.UDP })]);
    assert.match(mesh.ports.problems()[0]?.message ?? '', /is taken by another program/);
  });

  it('ends its flows with the port, and begins anew when the port is back', async () => {
    await start();
    const target = targetOf('a', (await replica('a')).port);
    await mesh.route([target]);
    const one = await client();
    await mesh.ask(one, '1');
    await mesh.apply([]);
    assert.deepEqual([mesh.ports.connections, mesh.udp.upstreamSockets, mesh.udp.counters.size], [0, 0, 0]);
    await mesh.route([target]);
    assert.equal(await mesh.ask(one, '2'), 'a 2');
  });
});
