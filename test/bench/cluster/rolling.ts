// How long a rolling update of 10 replicas takes, two at a time, beside the same waves of containers straight through the engines' API, and how many
// ran at the least. As root on Debian: npm run build && node --import tsx test/bench/cluster/rolling.ts [ROUNDS]
import { fileURLToPath } from 'node:url';
import { runToEnd, startCluster } from '../../support/cluster.ts';
import { TEST_IMAGE } from '../../support/engine.ts';

const CLIENT = fileURLToPath(new URL('rolling-client.ts', import.meta.url));

interface Update {
  readonly ms: number;
  readonly fewest: number;
}

interface Result {
  readonly waves: readonly number[];
  readonly startFirst: readonly Update[];
  readonly stopFirst: readonly Update[];
  readonly count: number;
  readonly monitorMs: number;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

const [rounds = '3'] = process.argv.slice(2);
const cluster = await startCluster({ nodes: 3, store: 'etcd' });
try {
  const sockets = cluster.engines.map((engine) => engine.socketPath);
  const manager = `${cluster.hosts[0]?.address ?? ''}:7420`;
  const result = await runToEnd(cluster.client, process.execPath, ['--import', 'tsx', CLIENT, manager, rounds, TEST_IMAGE, ...sockets]);
  if (result.code !== 0) throw new Error(`the client failed: ${result.stderr}`);
  const { waves, startFirst, stopFirst, count, monitorMs } = JSON.parse(result.stdout) as Result;
  const bareMs = count * median(waves) + monitorMs;
  process.stdout.write(
    `${count} waves through the engines' API, and the monitor time: ${seconds(bareMs)} (a wave: ${seconds(median(waves))})\n`,
  );
  for (const [name, updates] of [['start-first', startFirst] as const, ['stop-first', stopFirst] as const]) {
    const ms = median(updates.map((update) => update.ms));
    const fewest = Math.min(...updates.map((update) => update.fewest));
    process.stdout.write(`${name}: ${seconds(ms)}, ratio ${(ms / bareMs).toFixed(3)}, never fewer than ${fewest} running\n`);
  }
} finally {
  await cluster.stop();
}
