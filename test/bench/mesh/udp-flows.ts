// The memory of many UDP flows: 100,000 clients of one published port send a datagram each from a process of their own, and the resident memory, sockets and
// processor time of the process that holds the flows are printed on the way; then datagrams per second and processor time per datagram with all of them open.
// Needs as many file descriptors as sockets (ulimit -n 20000 will do). Run: node --import tsx test/bench/mesh/udp-flows.ts [--flows 100000] [--replicas 10]
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { targetOf } from '../../support/routes.ts';
import { flood } from '../../support/udp-flood.ts';
import { openUdp, startUdpMesh } from '../../support/udp-mesh.ts';
import { until } from '../../support/until.ts';

interface Report {
  readonly port: number;
  readonly address: string;
  readonly open: number;
  readonly datagrams: number;
  readonly sockets: number;
  readonly rssMb: number;
  readonly cpuMs: number;
}

const STEPS = 5;
const ROUND_TRIPS = 50_000;
const IN_FLIGHT = 32;

/** The mesh alone: its process reports what it holds whenever it is asked. */
async function holdFlows(replicaPorts: readonly number[]): Promise<void> {
  const mesh = await startUdpMesh({});
  await mesh.route(replicaPorts.map((port, index) => targetOf(`task-${index}`, port)));
  process.on('message', () => {
    const { open, datagramsFromClients } = mesh.counters();
    const { user, system } = process.cpuUsage();
    const rssMb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
    const report: Report = {
      port: mesh.port,
      address: mesh.address,
      open,
      datagrams: datagramsFromClients,
      sockets: mesh.udp.upstreamSockets,
      rssMb,
      cpuMs: (user + system) / 1000,
    };
    process.send?.(report);
  });
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

async function ask(mesh: ChildProcess): Promise<Report> {
  const answer = once(mesh, 'message');
  mesh.send('report');
  return ((await answer) as [Report])[0];
}

async function main(flows: number, replicaCount: number): Promise<void> {
  let arrived = 0;
  const count = (text: string): string => {
    arrived++;
    return text;
  };
  const replicas = await Promise.all(Array.from({ length: replicaCount }, () => openUdp(count)));
  const mesh = fork(import.meta.filename, ['--hold', ...replicas.map(({ port }) => String(port))]);
  await once(mesh, 'message');
  const start = await ask(mesh);
  process.stdout.write(`without a flow: ${start.rssMb.toFixed(0)} MB\n`);
  for (let step = 0; step < STEPS; step++) {
    const clients = flows / STEPS;
    await flood({ clients, first: step * clients, port: start.port, address: start.address, arrived: () => arrived });
    const { open, rssMb, sockets, cpuMs } = await ask(mesh);
    const each = ((rssMb - start.rssMb) * 1024) / open;
    process.stdout.write(
      `${open} flows: ${rssMb.toFixed(0)} MB, ${each.toFixed(2)} KB a flow, ${sockets} sockets, ${((cpuMs * 1000) / open).toFixed(0)} us of processor a flow\n`,
    );
  }
  const before = await ask(mesh);
  const client = await openUdp();
  const begunMs = performance.now();
  for (let sent = 0; sent < ROUND_TRIPS; sent += IN_FLIGHT) {
    const wanted = client.got.length + IN_FLIGHT;
    for (let i = 0; i < IN_FLIGHT; i++) client.socket.send('0123456789', start.port, start.address);
    while (client.got.length < wanted) await new Promise(setImmediate);
  }
  const seconds = (performance.now() - begunMs) / 1000;
  const after = await ask(mesh);
  const perTrip = ((after.cpuMs - before.cpuMs) * 1000) / (after.datagrams - before.datagrams);
  process.stdout.write(
    `${(ROUND_TRIPS / seconds).toFixed(0)} round trips/s on one flow, ${perTrip.toFixed(1)} us of the mesh's processor each\n`,
  );
  mesh.disconnect();
  client.close();
  for (const replica of replicas) replica.close();
  await until(() => mesh.exitCode !== null, 'the mesh ends');
}

const { values, positionals } = parseArgs({
  options: {
    hold: { type: 'boolean', default: false },
    flows: { type: 'string', default: '100000' },
    replicas: { type: 'string', default: '10' },
  },
  allowPositionals: true,
});
await (values.hold ? holdFlows(positionals.map(Number)) : main(Number(values.flows), Number(values.replicas)));
