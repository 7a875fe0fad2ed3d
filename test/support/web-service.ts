// The service that end-to-end tests deploy: a small web server per container that answers with its hostname, which is the task's name.
import { type CommandResult, runToEnd, type TestCluster } from './cluster.ts';
import { TEST_IMAGE } from './engine.ts';
import type { Host } from './hosts.ts';

/** busybox's httpd as pid 1 has no handler for SIGTERM, so it is told with the signal that ends it at once. */
const SERVE = ['sh', '-c', 'hostname > /www/index.html; exec httpd -f -p 80 -h /www'];

export function createWeb(cluster: TestCluster, name: string, port: number, ...flags: readonly string[]): Promise<CommandResult> {
  const fixed = ['--name', name, '-p', `${port}:80`, '--hostname', '{{.Task.Name}}', '--stop-signal', 'SIGKILL', '--no-resolve-image'];
  return cluster.shoal('service', 'create', ...fixed, '--timeout', '60s', ...flags, TEST_IMAGE, ...SERVE);
}

export function urlsOf(cluster: TestCluster, port: number): readonly string[] {
  return cluster.hosts.map((host) => `http://${host.address}:${port}/`);
}

/** Body of a GET from that host, or undefined where it fails. (busybox's own -T crashes in Debian's static build.) */
export async function getFrom(host: Host, url: string): Promise<string | undefined> {
  const { code, stdout } = await runToEnd(host, 'timeout', ['6', 'busybox', 'wget', '-q', '-O', '-', url]);
  return code === 0 ? stdout.trim() : undefined;
}

/** How many running replicas each node has, by `service ps`. */
export async function spreadOf(cluster: TestCluster, name: string): Promise<Readonly<Record<string, number>>> {
  const tasks = await cluster.list('service', 'ps', name, '--filter', 'desired-state=running', '--no-trunc');
  const spread: Record<string, number> = {};
  for (const task of tasks) {
    if (!(task['CurrentState'] ?? '').startsWith('Running')) continue;
    const node = task['Node'] ?? '';
    spread[node] = (spread[node] ?? 0) + 1;
  }
  return spread;
}

/** Containers of the service that really run on each engine, by name. */
export async function containersOf(cluster: TestCluster, index: number, name: string): Promise<readonly string[]> {
  const socket = cluster.engines[index]?.socketPath ?? '';
  const filter = ['--filter', `label=shoal.service.name=${name}`];
  const result = await runToEnd(cluster.client, 'docker', [
    '-H',
    `unix://${socket}`,
    'ps',
    '--no-trunc',
    ...filter,
    '--format',
    '{{.Names}}',
  ]);
  return result.stdout.split('\n').filter((line) => line !== '');
}

export async function allContainersOf(cluster: TestCluster, name: string): Promise<readonly string[]> {
  const perHost = await Promise.all(cluster.hosts.map((_, index) => containersOf(cluster, index, name)));
  return perHost.flat().sort();
}

export async function killContainer(cluster: TestCluster, index: number, container: string): Promise<void> {
  const socket = cluster.engines[index]?.socketPath ?? '';
  await runToEnd(cluster.client, 'docker', ['-H', `unix://${socket}`, 'kill', '-s', 'KILL', container]);
}
