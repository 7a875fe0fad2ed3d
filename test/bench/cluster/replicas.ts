// How long 30 replicas (and one) take on three real engines, beside the same containers through the engines' own API, in one interleaved run;
// and what an idle cluster costs. As root on Debian: npm run build && node --import tsx test/bench/cluster/replicas.ts [ROUNDS]
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runToEnd, startCluster, type TestCluster } from '../../support/cluster.ts';
import { TEST_IMAGE } from '../../support/engine.ts';

const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));
const IDLE_MS = 20_000;

interface Series {
  readonly shoalMs: readonly number[];
  readonly bareMs: readonly number[];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function show(what: string, { shoalMs, bareMs }: Series): void {
  const words = (values: readonly number[]): string =>
    `${(median(values) / 1000).toFixed(2)} s (${(Math.min(...values) / 1000).toFixed(2)} to ${(Math.max(...values) / 1000).toFixed(2)})`;
  const difference = median(shoalMs) - median(bareMs);
  process.stdout.write(
    `${what}: shoal ${words(shoalMs)}, engines ${words(bareMs)}, ratio ${(median(shoalMs) / median(bareMs)).toFixed(3)}, difference ${difference.toFixed(0)} ms\n`,
  );
}

/** Proportional set size in MB, and CPU seconds used so far. */
function usageOf(pid: number): { readonly pssMb: number; readonly cpuS: number } {
  const pss = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? '0';
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pssMb: Number(pss) / 1024, cpuS: (Number(fields[11]) + Number(fields[12])) / 100 };
}

async function meshPid(cluster: TestCluster, index: number): Promise<number> {
  const { stdout } = await runToEnd(cluster.client, 'pgrep', ['-f', `mesh --data-dir ${cluster.agentFolder(index)}/mesh`]);
  return Number(stdout.trim().split('\n')[0]);
}

async function idle(cluster: TestCluster): Promise<void> {
  const pids = new Map<string, number>([['manager', cluster.manager.pid]]);
  for (const [index, agent] of cluster.agents.entries()) {
    pids.set(agent.name, agent.pid);
    pids.set(`mesh-${agent.host.name}`, await meshPid(cluster, index));
  }
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const before = new Map([...pids].map(([name, pid]) => [name, usageOf(pid)]));
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  for (const [name, pid] of pids) {
    const after = usageOf(pid);
    const cpu = ((after.cpuS - (before.get(name)?.cpuS ?? 0)) / (IDLE_MS / 1000)) * 100;
    process.stdout.write(`idle ${name}: ${cpu.toFixed(2)} % of a core, ${after.pssMb.toFixed(1)} MB PSS\n`);
  }
}

const [rounds = '7'] = process.argv.slice(2);
const cluster = await startCluster({ nodes: 3, store: 'etcd' });
try {
  const sockets = cluster.engines.map((engine) => engine.socketPath);
  const manager = `${cluster.hosts[0]?.address ?? ''}:7420`;
  const result = await runToEnd(cluster.client, process.execPath, ['--import', 'tsx', CLIENT, manager, rounds, TEST_IMAGE, ...sockets]);
  if (result.code !== 0) throw new Error(`the client failed: ${result.stderr}`);
  const { many, one } = JSON.parse(result.stdout) as { readonly many: Series; readonly one: Series };
  show('30 replicas', many);
  show('1 replica', one);
  await idle(cluster);
} finally {
  await cluster.stop();
}
