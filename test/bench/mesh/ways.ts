// What a published port can be served by: Shoal's mesh and the proxies beside which it is measured, each a process of its own, all in front of the same nginx.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type PortRoute } from '../../../proto/index.ts';
import { connectAgent } from '../../support/mesh-agent.ts';
import { tableOf, targetOf } from '../../support/routes.ts';
import { freePort, openClient } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';
import { compare, type Measure } from './rounds.ts';

export const HOST = '127.0.0.1';
const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

export interface Way {
  readonly name: string;
  readonly port: number;
  /** Undefined: nothing in between. */
  readonly pid: number | undefined;
}

/** Where the proxies find their files and backends. */
export interface Stage {
  readonly folder: string;
  readonly backends: readonly number[];
  /** Runs until the benchmark is over. */
  readonly launch: (program: string, args: readonly string[]) => ChildProcess;
  /** Shoal from dist/. */
  readonly built: boolean;
  /** Folder for a V8 profile of Shoal. */
  readonly profile: string | undefined;
}

/** Runs a benchmark by the options of its command line. `files`: what the backends serve beside "/" and "/sink" (which answers when it has read the body), by name and size in bytes. */
export async function benchmark(
  base: string,
  measures: readonly Measure[],
  files: Readonly<Record<string, number>>,
  start: (stage: Stage) => Promise<readonly Way[]>,
): Promise<void> {
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
  const children: ChildProcess[] = [];
  const launch = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    children.push(child);
    return child;
  };
  try {
    const backends = await startBackends(folder, files, launch);
    const ways = await start({ folder, backends, launch, built: values.built, profile: values.profile });
    await compare([{ name: 'direct', port: backends[0] ?? 0, pid: undefined }, ...ways], measures, {
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
      only: values.only,
      base,
      folder,
    });
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map((child) => until(() => child.exitCode !== null || child.signalCode !== null, 'its end', 5000)));
    await rm(folder, { recursive: true, force: true });
  }
}

async function startBackends(folder: string, files: Readonly<Record<string, number>>, launch: Stage['launch']): Promise<readonly number[]> {
  const ports = [await freePort(HOST), await freePort(HOST), await freePort(HOST)];
  const listens = ports.map((port) => `listen ${HOST}:${port} backlog=4096;`).join(' ');
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), Buffer.alloc(bytes, 'x'));
  await writeFile(
    join(folder, 'backend.conf'),
    `worker_processes 1; daemon off; master_process off; pid ${folder}/backend.pid; error_log /dev/null;
     events { worker_connections 8192; }
     http { access_log off; keepalive_requests 100000000; client_max_body_size 64m; client_body_temp_path ${folder}/sink; sendfile on;
       server { ${listens} root ${folder};
         location = / { return 200 "${'x'.repeat(127)}\\n"; }
         location = /sink { client_body_buffer_size 2m; proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_pass http://unix:${folder}/read; } }
       server { listen unix:${folder}/read; location / { return 200 "read\\n"; } } }`,
  );
  launch('nginx', ['-c', join(folder, 'backend.conf')]);
  for (const port of ports) await answering(port);
  return ports;
}

async function answering(port: number): Promise<void> {
  await until(async () => {
    const client = openClient(port, HOST);
    client.socket.write('GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n');
    await until(() => client.ended || client.error !== undefined, 'an answer', 2000);
    client.socket.destroy();
    return client.text().startsWith('HTTP/1.1 200');
  }, `port ${port} answers`);
}

/** `route`: of the published port, without its targets. */
export async function startShoal(name: string, stage: Stage, route: (port: number) => PortRoute): Promise<Way> {
  const { folder, backends, launch, built, profile } = stage;
  const port = await freePort(HOST);
  const dataDir = join(folder, 'mesh');
  const program = built ? [join(ROOT, 'dist/cli/main.js')] : ['--import', 'tsx', join(ROOT, 'cli/main.ts')];
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const flags = ['--data-dir', dataDir, '--listen', HOST, '--log-level', 'warn'];
  const child = launch(process.execPath, [...profiling, ...program, 'mesh', ...flags]);
  await until(async () => {
    const agent = await connectAgent(dataDir);
    agent.hello();
    await until(() => agent.last('ready') !== undefined, 'ready', 2000);
    await agent.table(tableOf(1, [{ ...route(port), targets: backends.map((backend, index) => targetOf(`task-${index}`, backend)) }]));
    agent.close();
    return true;
  }, 'the mesh takes its table');
  await answering(port);
  return { name, port, pid: child.pid };
}

/** One thread. */
export async function startHaproxy(mode: 'tcp' | 'http', { folder, backends, launch }: Stage): Promise<Way> {
  const port = await freePort(HOST);
  const servers = backends.map((backend, index) => `  server s${index} ${HOST}:${backend}`).join('\n');
  await writeFile(
    join(folder, 'haproxy.cfg'),
    `global\n  maxconn 4000\n  nbthread 1\ndefaults\n  mode ${mode}\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s
listen published\n  bind ${HOST}:${port}\n  balance leastconn\n${servers}\n`,
  );
  const child = launch('haproxy', ['-q', '-f', join(folder, 'haproxy.cfg')]);
  await answering(port);
  return { name: `haproxy ${mode}`, port, pid: child.pid };
}

/** One worker, keep-alive connections to the backends. */
export async function startNginx({ folder, backends, launch }: Stage): Promise<Way> {
  const port = await freePort(HOST);
  const servers = backends.map((backend) => `server ${HOST}:${backend};`).join(' ');
  await writeFile(
    join(folder, 'proxy.conf'),
    `worker_processes 1; daemon off; master_process off; pid ${folder}/proxy.pid; error_log /dev/null;
     events { worker_connections 8192; }
     http { access_log off; keepalive_requests 100000000; client_max_body_size 64m; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
       upstream replicas { least_conn; ${servers} keepalive 128; keepalive_requests 100000000; }
       server { listen ${HOST}:${port} backlog=4096;
         location / { proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; } } }`,
  );
  const child = launch('nginx', ['-c', join(folder, 'proxy.conf')]);
  await answering(port);
  return { name: 'nginx http', port, pid: child.pid };
}

/** A Node.js program of a few lines, as somebody would write it; `BACKENDS`, `HOST` and `PORT` are there for it. */
export async function startProgram(name: string, lines: string, { backends, launch }: Stage): Promise<Way> {
  const port = await freePort(HOST);
  const constants = `const BACKENDS = ${JSON.stringify(backends)}; const HOST = '${HOST}'; const PORT = ${port};`;
  const child = launch(process.execPath, ['-e', `${constants}\n${lines}`]);
  await answering(port);
  return { name, port, pid: child.pid };
}
