import assert from 'node:assert/strict';
import { IngressSettings } from '../../../proto/index.ts';
import { targetOf } from '../../support/routes.ts';
import { flood } from '../../support/udp-flood.ts';
import { openUdp, startUdpMesh, type UdpEnd, type UdpMesh } from '../../support/udp-mesh.ts';
import { until } from '../../support/until.ts';

const CLIENTS = 20_000;
const REPLICAS = 8;
const OWN = 32;

describe('many UDP flows', function () {
  this.timeout(60_000);
  let mesh: UdpMesh;
  let replicas: readonly UdpEnd[] = [];

  beforeEach(async () => {
    mesh = await startUdpMesh({ ownSocketsPerReplica: OWN });
    replicas = await Promise.all(Array.from({ length: REPLICAS }, () => openUdp((text) => `answer ${text}`)));
  });
  afterEach(async () => {
    await mesh.stop();
    for (const replica of replicas) replica.close();
  });

  const targets = () => replicas.map(({ port }, index) => targetOf(`task-${index}`, port));
  const arrived = () => replicas.reduce((sum, { got }) => sum + got.length, 0);

  it('share sockets, keep their replicas, and leave nothing behind', async () => {
    await mesh.route(targets());
    const first = await openUdp();
    await mesh.ask(first, 'the first');
    const before = process.memoryUsage().heapUsed;
    await flood({ clients: CLIENTS, port: mesh.port, address: mesh.address, arrived });
    const { open, moved, droppedNoSocket } = mesh.counters();
    assert.deepEqual([open, moved, droppedNoSocket], [CLIENTS + 1, 0, 0]);
    const most = REPLICAS * OWN + (1.5 * CLIENTS) / REPLICAS;
    assert.ok(mesh.udp.upstreamSockets <= most, `${mesh.udp.upstreamSockets} sockets, ${most} at most`);
    const bytesEach = (process.memoryUsage().heapUsed - before) / CLIENTS;
    assert.ok(bytesEach < 8192, `${bytesEach} bytes of heap a flow`);
    await mesh.ask(first, 'still there');
    assert.equal(new Set(first.from.map(({ port }) => port)).size, 1);
    assert.equal(mesh.counters().flows, CLIENTS + 1);
    await mesh.apply([]);
    assert.deepEqual([mesh.ports.connections, mesh.udp.upstreamSockets], [0, 0]);
    first.close();
  });

  it('are never more than the limit', async () => {
    await mesh.route(targets(), { settings: IngressSettings.create({ maxConnections: 500 }) });
    await flood({ clients: 3000, port: mesh.port, address: mesh.address, arrived });
    await until(() => mesh.counters().flows === 3000, 'all came');
    assert.deepEqual([mesh.counters().open, mesh.counters().evicted], [500, 2500]);
    assert.ok(mesh.udp.upstreamSockets <= 500);
  });
});
