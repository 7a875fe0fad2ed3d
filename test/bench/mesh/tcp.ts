// One published TCP port, side by side: direct, Shoal's tcp path, HAProxy tcp (one thread) and a naive node:net pipe, all to the same three nginx ports,
// measured by wrk in interleaved rounds. CPU is shared by all of them, so only the ratios mean anything; the processor time of the proxy per request is the
// measure that other programs disturb least. --profile leaves a V8 profile of Shoal in the folder that it names.
// Run: node --import tsx test/bench/mesh/tcp.ts [--rounds 5] [--seconds 3] [--only 'new connections'] [--built] [--profile /tmp/p]  (--built: Shoal from dist/, after npm run build)
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { connectAgent } from '../../support/mesh-agent.ts';
import { routeOf, tableOf, targetOf } from '../../support/routes.ts';
import { freePort, openClient } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const HOST = '127.0.0.1';
const BULK_BYTES = 64 * 2 ** 20;
const run = promisify(execFile);

interface Way {
  readonly name: string;
  readonly port: number;
  readonly pid: number | undefined;
}

interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly higherIsBetter: boolean;
  readonly path: string;
  readonly connections: number;
  readonly close: boolean;
  readonly read: (wrk: string) => number;
}

const perSecond = (text: string): number => Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
const MEASURES: readonly Measure[] = [
  { name: 'keep-alive', unit: 'req/s', higherIsBetter: true, path: '/', connections: 64, close: false, read: perSecond },
  { name: 'new connections', unit: 'conn/s', higherIsBetter: true, path: '/', connections: 64, close: true, read: perSecond },
  {
    name: 'p50 at 1 connection',
    unit: 'us',
    higherIsBetter: false,
    path: '/',
    connections: 1,
    close: false,
    read: (text) => microseconds(text, '50%'),
  },
  {
    name: 'p99 at 1 connection',
    unit: 'us',
    higherIsBetter: false,
    path: '/',
    connections: 1,
    close: false,
    read: (text) => microseconds(text, '99%'),
  },
  {
    name: 'bulk',
    unit: 'MB/s',
    higherIsBetter: true,
    path: '/bulk',
    connections: 8,
    close: false,
    read: (text) => (perSecond(text) * BULK_BYTES) / 1e6,
  },
];

function microseconds(text: string, percentile: string): number {
  const match = new RegExp(`^\\s+${percentile}\\s+([\\d.]+)(us|ms|s)$`, 'm').exec(text);
  const scale: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6 };
  return Number(match?.[1]) * (scale[match?.[2] ?? ''] ?? NaN);
}

/** Several thousand connections. */
const WARM_UP_SECONDS = 5;

const children: ChildProcess[] = [];
/** Of /proc/PID/stat: Linux counts in hundredths of a second everywhere. */
const TICK_US = 10_000;

/** Of the process, user and system, in us; NaN without one. */
async function processorTime(pid: number | undefined): Promise<number> {
  if (pid === undefined) return NaN;
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

function launch(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(child);
  return child;
}

async function answering(port: number): Promise<void> {
  await until(async () => {
    const client = openClient(port, HOST);
    client.socket.write('GET / HTTP/1.0\r\n\r\n');
    await until(() => client.ended || client.error !== undefined, 'an answer', 2000);
    client.socket.destroy();
    return client.text().startsWith('HTTP/1.1 200');
  }, `port ${port} answers`);
}

async function startBackends(folder: string): Promise<readonly number[]> {
  const ports = [await freePort(HOST), await freePort(HOST), await freePort(HOST)];
  const listens = ports.map((port) => `listen ${HOST}:${port} backlog=4096;`).join(' ');
  await writeFile(join(folder, 'bulk'), Buffer.alloc(BULK_BYTES, 'x'));
  await writeFile(
    join(folder, 'nginx.conf'),
    `worker_processes 1; daemon off; master_process off; pid ${folder}/nginx.pid; error_log /dev/null;
     events { worker_connections 8192; }
     http { access_log off; keepalive_requests 100000000; sendfile on; server { ${listens} root ${folder};
       location = / { return 200 "${'x'.repeat(127)}\\n"; } } }`,
  );
  launch('nginx', ['-c', join(folder, 'nginx.conf')]);
  for (const port of ports) await answering(port);
  return ports;
}

async function startShoal(folder: string, backends: readonly number[], built: boolean, profile: string | undefined): Promise<Way> {
  const port = await freePort(HOST);
  const dataDir = join(folder, 'mesh');
  const program = built ? [join(ROOT, 'dist/cli/main.js')] : ['--import', 'tsx', join(ROOT, 'cli/main.ts')];
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const child = launch(process.execPath, [
    ...profiling,
    ...program,
    'mesh',
    '--data-dir',
    dataDir,
    '--listen',
    HOST,
    '--log-level',
    'warn',
  ]);
  await until(async () => {
    const agent = await connectAgent(dataDir);
    agent.hello();
    await until(() => agent.last('ready') !== undefined, 'ready', 2000);
    await agent.table(
      tableOf(1, [
        routeOf(
          port,
          backends.map((backend, index) => targetOf(`task-${index}`, backend)),
        ),
      ]),
    );
    agent.close();
    return true;
  }, 'the mesh takes its table');
  await answering(port);
  return { name: 'shoal tcp', port, pid: child.pid };
}

async function startHaproxy(folder: string, backends: readonly number[]): Promise<Way> {
  const port = await freePort(HOST);
  const servers = backends.map((backend, index) => `  server s${index} ${HOST}:${backend}`).join('\n');
  await writeFile(
    join(folder, 'haproxy.cfg'),
    `global\n  maxconn 4000\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s
listen published\n  bind ${HOST}:${port}\n  balance leastconn\n${servers}\n`,
  );
  const child = launch('haproxy', ['-q', '-f', join(folder, 'haproxy.cfg')]);
  await answering(port);
  return { name: 'haproxy tcp', port, pid: child.pid };
}

async function startNaive(backends: readonly number[]): Promise<Way> {
  const port = await freePort(HOST);
  const script = `
    const net = require('node:net'); const backends = ${JSON.stringify(backends)}; let next = 0;
    net.createServer({ noDelay: true }, (client) => {
      const server = net.connect({ host: '${HOST}', port: backends[next++ % backends.length], noDelay: true });
      client.on('error', () => server.destroy()); server.on('error', () => client.destroy());
      client.pipe(server); server.pipe(client);
    }).listen({ host: '${HOST}', port: ${port}, backlog: 4096 });`;
  const child = launch(process.execPath, ['-e', script]);
  await answering(port);
  return { name: 'naive pipe', port, pid: child.pid };
}

interface Result {
  readonly value: number;
  /** Processor time of the proxy per request, in us. */
  readonly processorUs: number;
}

async function measure(way: Way, what: Measure, seconds: number, closing: string): Promise<Result> {
  const before = await processorTime(way.pid);
  const args = ['-t', '1', '-c', String(what.connections), '-d', `${seconds}s`, '--latency', ...(what.close ? ['-s', closing] : [])];
  const { stdout } = await run('wrk', [...args, `http://${HOST}:${way.port}${what.path}`]);
  if (/Non-2xx|Socket errors/.test(stdout))
    process.stderr.write(`${way.name}, ${what.name}: ${/.*(Non-2xx|Socket errors).*/.exec(stdout)?.[0] ?? ''}\n`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return { value: what.read(stdout), processorUs: ((await processorTime(way.pid)) - before) / requests };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      only: { type: 'string', default: '' },
      built: { type: 'boolean', default: false },
      profile: { type: 'string' },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-'));
  try {
    const closing = join(folder, 'close.lua');
    await writeFile(closing, 'wrk.headers["Connection"] = "close"\n');
    const backends = await startBackends(folder);
    const ways: readonly Way[] = [
      { name: 'direct', port: backends[0] ?? 0, pid: undefined },
      await startHaproxy(folder, backends),
      await startShoal(folder, backends, values.built, values.profile),
      await startNaive(backends),
    ];
    for (const what of MEASURES.filter(({ name }) => name.includes(values.only))) {
      const results = new Map<string, Result[]>(ways.map((way) => [way.name, []]));
      // Not counted: a new process compiles its code for a while, and those measured are to be what they are for the rest of their days.
      for (const way of ways) await measure(way, what, WARM_UP_SECONDS, closing);
      for (let round = 0; round < Number(values.rounds); round++) {
        // Each round begins with another one: a drift of the machine falls on all alike.
        for (let index = 0; index < ways.length; index++) {
          const way = ways[(round + index) % ways.length];
          if (way !== undefined) results.get(way.name)?.push(await measure(way, what, Number(values.seconds), closing));
        }
      }
      report(what, results);
    }
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await rm(folder, { recursive: true, force: true });
  }
}

function report(what: Measure, results: ReadonlyMap<string, readonly Result[]>): void {
  const base = median((results.get('haproxy tcp') ?? []).map(({ value }) => value));
  process.stdout.write(`\n${what.name} (${what.unit}, ${what.higherIsBetter ? 'more' : 'less'} is better)\n`);
  for (const [name, all] of results) {
    const values = all.map((result) => result.value);
    const value = median(values);
    const processorUs = median(all.map((result) => result.processorUs));
    const spread = `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;
    process.stdout.write(
      `  ${name.padEnd(12)} ${value.toFixed(0).padStart(8)}   x${(value / base).toFixed(2)} of haproxy   (${spread})   ${processorUs.toFixed(1)} us of processor\n`,
    );
  }
}

await main();
