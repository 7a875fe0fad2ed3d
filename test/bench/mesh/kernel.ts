// The kernel path beside a hand-written nftables rule set (kernel-reference.nft) and a direct connection, with 10 and with 1,000 published ports: four hosts,
// the same three nginx ports behind both, wrk on a host of its own, interleaved rounds. Then the time of one change at 10,000 targets. Ratios count. What the
// kernel does for a packet between these hosts it does in the time of who sent it, so the processor time of wrk and nginx per request has the rules in it,
// and other programs on the machine disturb it least.
// Run as root: node --import tsx test/bench/mesh/kernel.ts [--rounds 5] [--seconds 3] [--ports 10,1000] [--changes 20]
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRng } from '../../../lib/rng.ts';
import { KernelPath } from '../../../mesh/kernel/kernel-path.ts';
import { type RunTool } from '../../../mesh/kernel/tools.ts';
import { fromMessage, type Table } from '../../../mesh/table/table.ts';
import { DataPath, IngressSettings, type PortRoute } from '../../../proto/index.ts';
import { createHosts, type Host } from '../../support/hosts.ts';
import { connectAgent, type MeshAgent } from '../../support/mesh-agent.ts';
import { noKernel } from '../../support/no-kernel.ts';
import { routeOf, tableOf, targetOf } from '../../support/routes.ts';
import { until } from '../../support/until.ts';

const FOLDER = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(dirname(dirname(FOLDER)));
const FIRST_PORT = 10_000;
const BACKEND_PORTS = [8001, 8002, 8003] as const;
const BULK_BYTES = 64 * 2 ** 20;
const SETTINGS = { settings: IngressSettings.create({ dataPath: DataPath.PATH_KERNEL }) };

interface Measure {
  readonly name: string;
  readonly path: string;
  readonly connections: number;
  readonly close: boolean;
  /** Of a request. */
  readonly scale: number;
}

const MEASURES: readonly Measure[] = [
  { name: 'keep-alive req/s', path: '/', connections: 64, close: false, scale: 1 },
  { name: 'new connections/s', path: '/', connections: 64, close: true, scale: 1 },
  { name: 'bulk MB/s', path: '/bulk', connections: 8, close: false, scale: BULK_BYTES / 1e6 },
];

const children: ChildProcess[] = [];

async function startBackends(host: Host, folder: string): Promise<number> {
  const listens = BACKEND_PORTS.map((port) => `listen ${port} backlog=4096;`).join(' ');
  await writeFile(join(folder, 'bulk'), Buffer.alloc(BULK_BYTES, 'x'));
  await writeFile(
    join(folder, 'nginx.conf'),
    `worker_processes 1; daemon off; master_process off; pid ${folder}/nginx.pid; error_log /dev/null;
     events { worker_connections 8192; }
     http { access_log off; keepalive_requests 100000000; sendfile on; server { ${listens} root ${folder};
       location = / { return 200 "${'x'.repeat(127)}\\n"; } } }`,
  );
  const nginx = host.spawn('nginx', ['-c', join(folder, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(nginx);
  return nginx.pid ?? 0;
}

async function startShoal(host: Host, folder: string): Promise<MeshAgent> {
  const dataDir = join(folder, 'mesh');
  const args = ['--import', 'tsx', join(ROOT, 'cli/main.ts'), 'mesh', '--data-dir', dataDir, '--node-id', 'bench', '--log-level', 'warn'];
  children.push(host.spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] }));
  let agent: MeshAgent | undefined;
  await until(
    async () => {
      agent = await connectAgent(dataDir);
      agent.hello('bench');
      await until(() => agent?.last('ready') !== undefined, 'ready', 2000);
      return true;
    },
    'the mesh greets',
    30_000,
  );
  if (agent === undefined) throw new Error('no agent');
  return agent;
}

function portsOf(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => FIRST_PORT + index);
}

function routesTo(backend: Host, count: number): readonly PortRoute[] {
  return portsOf(count).map((port) =>
    routeOf(
      port,
      BACKEND_PORTS.map((nodePort) => targetOf(`task-${port}-${nodePort}`, nodePort, { nodeAddress: backend.address })),
      SETTINGS,
    ),
  );
}

async function writeReference(host: Host, backend: Host, count: number, folder: string): Promise<void> {
  const template = await readFile(join(FOLDER, 'kernel-reference.nft'), 'utf8');
  const lines = template.split('\n').flatMap((line) => {
    const [before, after] = line.split('# per port');
    if (after === undefined || line.startsWith('#')) return [line];
    return portsOf(count).map((port) => (before ?? '').replaceAll('PORT', String(port)).replaceAll('BACKEND', backend.address));
  });
  const file = join(folder, 'reference.nft');
  await writeFile(file, lines.join('\n'));
  await host.run('nft', ['flush', 'ruleset']);
  await host.run('nft', ['-f', file]);
}

interface Result {
  readonly rate: number;
  /** Of client and backend, with what the kernel does on the way between them. */
  readonly processorUs: number;
}

/** Of /proc/PID/stat: Linux counts in hundredths of a second everywhere. */
const TICK_US = 10_000;

async function processorUsOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** The last line of the shell's `times`: user and system time of what it ran. */
function processorUsIn(output: string): number {
  const [line = ''] = output.trimEnd().split('\n').slice(-1);
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60e6 + Number(seconds) * 1e6,
    0,
  );
}

interface Bench {
  readonly client: Host;
  readonly nginxPid: number;
  readonly seconds: number;
  readonly closing: string;
}

async function wrk({ client, nginxPid, seconds, closing }: Bench, address: string, port: number, what: Measure): Promise<Result> {
  const args = ['-t', '1', '-c', String(what.connections), '-d', `${seconds}s`, ...(what.close ? ['-s', closing] : [])];
  const before = await processorUsOf(nginxPid);
  const { stdout } = await client.run('sh', ['-c', 'wrk "$@"; times', 'sh', ...args, `http://${address}:${port}${what.path}`]);
  const nginxUs = (await processorUsOf(nginxPid)) - before;
  if (/Non-2xx|Socket errors/.test(stdout))
    process.stderr.write(`${what.name} at ${address}: ${/.*(Non-2xx|Socket errors).*/.exec(stdout)?.[0] ?? ''}\n`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]) * what.scale,
    processorUs: (nginxUs + processorUsIn(stdout)) / requests,
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN) + (sorted[Math.ceil((sorted.length - 1) / 2)] ?? NaN)) / 2;
}

/** nft of the host, as the mesh there would run it (nsenter takes a few ms of its own). */
function toolsOn(host: Host): RunTool {
  return (tool, args, input = '') =>
    new Promise((resolve, reject) => {
      const child = spawn('nsenter', [`--net=${host.namespace}`, tool, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
      let output = '';
      let errors = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
      child.on('close', (code) => {
        if (code === 0) resolve(output);
        else reject(new ShoalError('unavailable', errors));
      });
      // One that ends without reading says why by its exit code.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
    });
}

/** 10,000 targets on so many ports; each change takes one target out of one port and puts another one in. */
async function measureChanges(host: Host, ports: number, changes: number): Promise<void> {
  const drains = { opened: () => undefined, closed: () => undefined };
  const system = { ...noKernel, run: toolsOn(host) };
  const options = { clock: systemClock, rng: systemRng, log: silentLogger, system, nodeId: `changes${ports}`, listen: [], portOffset: 0 };
  const kernel = new KernelPath({ ...options, drains, problemOf: () => undefined });
  const target = (port: number, index: number, name: string) =>
    targetOf(`${name}-${port}-${index}`, 20_000 + (index % 10_000), { nodeAddress: `10.${port % 200}.${index >> 8}.${index & 255}` });
  const perPort = 10_000 / ports;
  const routes = new Map(
    portsOf(ports).map((port) => [
      port,
      routeOf(
        port,
        Array.from({ length: perPort }, (_, index) => target(port, index, 'a')),
        SETTINGS,
      ),
    ]),
  );
  let revision = 0;
  /** Of this process alone, so far. */
  let processorUs = 0;
  const apply = async (): Promise<number> => {
    const table = fromMessage(tableOf(++revision, [...routes.values()])) as Table;
    const before = process.cpuUsage();
    const begunMs = performance.now();
    await kernel.apply(table);
    const tookMs = performance.now() - begunMs;
    const { user, system: inKernel } = process.cpuUsage(before);
    processorUs += user + inKernel;
    return tookMs;
  };
  const firstMs = await apply();
  const times: number[] = [];
  processorUs = 0;
  for (let turn = 0; turn < changes; turn++) {
    const port = FIRST_PORT + ((turn * 37) % ports);
    const route = routes.get(port);
    if (route === undefined) continue;
    routes.set(port, { ...route, targets: [...route.targets.slice(1), target(port, perPort + turn, 'b')] });
    times.push(await apply());
  }
  await kernel.stop(true);
  const sorted = [...times].sort((a, b) => a - b);
  process.stdout.write(
    `10,000 targets on ${ports} ports: all at once ${firstMs.toFixed(0)} ms; one change p50 ${median(times).toFixed(1)} ms, ` +
      `worst ${(sorted.at(-1) ?? NaN).toFixed(1)} ms, the mesh's own processor time ${(processorUs / 1000 / times.length).toFixed(1)} ms (load ${loadavg()[0]?.toFixed(1) ?? ''})\n`,
  );
}

function report(results: ReadonlyMap<string, readonly Result[]>): void {
  const of = (name: string, key: keyof Result): number => median((results.get(name) ?? []).map((result) => result[key]));
  for (const name of results.keys()) {
    const rate = of(name, 'rate');
    const processorUs = of(name, 'processorUs');
    process.stdout.write(
      `  ${name.padEnd(10)} ${rate.toFixed(0).padStart(8)}   x${(rate / of('reference', 'rate')).toFixed(2)} of the reference   ` +
        `${processorUs.toFixed(1)} us of processor a request, x${(processorUs / of('reference', 'processorUs')).toFixed(2)}\n`,
    );
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      ports: { type: 'string', default: '10,1000' },
      changes: { type: 'string', default: '20' },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-'));
  const hosts = await createHosts(4);
  try {
    const [shoal, reference, backend, client] = hosts.list;
    if (shoal === undefined || reference === undefined || backend === undefined || client === undefined) throw new Error('no hosts');
    for (const host of [shoal, reference]) await host.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    const nginxPid = await startBackends(backend, folder);
    const closing = join(folder, 'close.lua');
    await writeFile(closing, 'wrk.headers["Connection"] = "close"\n');
    const bench = { client, nginxPid, seconds: Number(values.seconds), closing };
    const agent = await startShoal(shoal, folder);
    let revision = 0;
    for (const count of values.ports === '' ? [] : values.ports.split(',').map(Number)) {
      await agent.table(tableOf(++revision, routesTo(backend, count)));
      await writeReference(reference, backend, count, folder);
      const port = FIRST_PORT + (count >> 1);
      const ways = [
        { name: 'direct', address: backend.address, port: BACKEND_PORTS[0] },
        { name: 'reference', address: reference.address, port },
        { name: 'shoal', address: shoal.address, port },
      ];
      for (const what of MEASURES) {
        const results = new Map<string, Result[]>(ways.map(({ name }) => [name, []]));
        for (let round = 0; round < Number(values.rounds); round++) {
          // Each round begins with another one: a drift of the machine falls on all alike.
          for (let index = 0; index < ways.length; index++) {
            const way = ways[(round + index) % ways.length];
            if (way === undefined) continue;
            results.get(way.name)?.push(await wrk(bench, way.address, way.port, what));
          }
        }
        process.stdout.write(`${count} ports, ${what.name} (load ${loadavg()[0]?.toFixed(1) ?? ''})\n`);
        report(results);
      }
    }
    agent.close();
    for (const ports of [1000, 1]) await measureChanges(client, ports, Number(values.changes));
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await hosts.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
