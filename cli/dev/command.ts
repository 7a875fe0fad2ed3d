// `shoal dev up|down|status|restart`: a whole cluster on this machine, for trying things out.
import type { Command } from 'commander';
import { messageOf } from '../../lib/errors.ts';
import { makeNoun } from '../command-line/noun.ts';
import { toggle } from '../command-line/toggles.ts';
import { addVerb, checkFlagsWith } from '../command-line/verb.ts';
import type { Shell } from '../shell.ts';
import type { DevCluster, DevLayout } from './layout.ts';
import { readUpFlags, type UpFlags, type UpSettings } from './up-flags.ts';

const WATCH_MS = 1000;

export function configureDev(dev: Command, shell: Shell): void {
  makeNoun(dev);

  const upVerb = addVerb(dev, 'up', 'Start a cluster on this machine: one manager, and nodes with agent and mesh each')
    .option('--store <store>', 'where state is kept, etcd or embedded (default: etcd where its binary is on the PATH)')
    .option('--runtime <runtime>', 'what tasks run as, docker or process (default: containers where an engine answers)')
    .option('--nodes <number>', 'how many nodes', '3')
    .option('--manager-port <port>', 'port of the manager on 127.0.0.1', '7420')
    .option('--port <port>', 'published port of the demo', '8080');
  toggle(upVerb, '--demo', 'deploy a demo service and ask every node for it');
  toggle(upVerb, '-d, --detach', 'return when it is up, instead of running until Ctrl-C');
  checkFlagsWith(upVerb, async (_context, unknown) => Promise.resolve(readUpFlags(upVerb, upVerb.opts(), unknown)));
  upVerb.action(async (flags: UpFlags) => {
    await up(readUpFlags(upVerb, flags), shell);
  });

  const downVerb = addVerb(dev, 'down', 'Stop the cluster, its tasks and everything it started, and forget its state').addHelpText(
    'after',
    '\nTasks get their stop grace period, at most 20 s; then they are killed. Ctrl-C meanwhile kills everything at once.',
  );
  toggle(downVerb, '--kill', 'give nothing time to stop');
  downVerb.action(async ({ kill }: { readonly kill?: boolean }) => {
    await down(kill === true, shell);
  });

  addVerb(dev, 'status', 'Show what of the cluster runs; exit code 1 where a part of it has ended').action(async () => {
    await status(shell);
  });

  addVerb(dev, 'restart [PART...]', 'Start parts that have ended again: all of them, or those named (manager, node-1, ...)')
    .addHelpText(
      'after',
      '\nTasks of a node that has ended go on meanwhile. A part that is named and runs is stopped first, a node with its tasks.',
    )
    .action(async (names: readonly string[]) => {
      await restart(names, shell);
    });
}

async function up(settings: UpSettings, shell: Shell): Promise<void> {
  const { layoutIn } = await import('./layout.ts');
  const { say } = await import('./say.ts');
  const { startCluster } = await import('./up.ts');
  const signal = shell.interrupt();
  // What was started is stopped again, also when the terminal is gone.
  shell.outliveOutput();
  const layout = layoutIn(shell.cwd);
  const { port, demo: isDemo, detach } = settings;
  const options = { ...settings, publishedPorts: isDemo ? [port] : [] };
  const cluster = await startCluster(layout, options, shell, signal);
  let failed = false;
  try {
    if (isDemo) await demo(cluster, port, shell, signal);
    else shell.out.write(`the cluster runs: ${cluster.nodes.length} nodes, manager at ${cluster.managers.join(', ')}\n`);
    shell.out.write(nextCommands(settings, cluster));
    if (!detach) await untilInterrupted(layout, shell, signal);
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    const { clusterToStop } = await import('./lost.ts');
    if ((failed || !detach) && clusterToStop(layout) !== undefined) {
      const { stopCluster } = await import('./down.ts');
      say(shell, 'stopping everything... (Ctrl-C again kills it)');
      const hurry = shell.hurry();
      hurry.addEventListener('abort', () => {
        say(shell, 'killing everything at once');
      });
      await stopCluster(layout, shell, hurry);
    }
  }
}

async function demo(cluster: DevCluster, port: number, shell: Shell, signal: AbortSignal): Promise<void> {
  const { runDemo } = await import('./demo.ts');
  const { showDemo } = await import('./demo-view.ts');
  await showDemo(cluster, await runDemo(cluster, port, shell, signal), shell, signal);
}

function nextCommands({ demo, port, managerPort, detach }: UpSettings, { nodes }: DevCluster): string {
  // Not the first one, where there are others: any node answers.
  const { address, portOffset } = nodes[1] ?? nodes[0] ?? { address: '127.0.0.1', portOffset: 0 };
  const service = demo
    ? [
        `  curl http://${address}:${port + portOffset}/`,
        '  npx shoal service scale demo=6',
        '  npx shoal service ps demo',
        '  npx shoal service logs demo',
      ]
    : [`  npx shoal service create --name web --replicas 3 -p ${managerPort === 8080 ? 8081 : 8080}:80 IMAGE`];
  const end = detach ? '  npx shoal dev down        stops everything' : 'Ctrl-C stops everything.';
  return `\nNext, ${detach ? '' : 'in another terminal '}here:\n  npx shoal node ls\n${service.join('\n')}\n${end}\n`;
}

/** Until Ctrl-C, or until the cluster is stopped from elsewhere; says once of each part that ends meanwhile. */
async function untilInterrupted(layout: DevLayout, shell: Shell, signal: AbortSignal): Promise<void> {
  const { say } = await import('./say.ts');
  const { sleep } = await import('../../lib/clock.ts');
  const { isAlive } = await import('../../lib/process-id.ts');
  const { readCluster } = await import('./layout.ts');
  const { stoppedParts } = await import('./parts.ts');
  let told = new Set<number>();
  while (!signal.aborted) {
    await sleep(shell.clock, WATCH_MS, signal).catch(() => undefined);
    // Read anew: parts may have been restarted, or everything stopped, from elsewhere.
    const cluster = readCluster(layout);
    if (cluster === undefined) {
      say(shell, 'the cluster was stopped');
      return;
    }
    const dead = cluster.processes.filter((process) => !isAlive(process));
    const news = dead.filter(({ pid }) => !told.has(pid));
    if (news.length > 0) say(shell, stoppedParts({ processes: news }) ?? '');
    told = new Set(dead.map(({ pid }) => pid));
  }
}

async function down(kill: boolean, shell: Shell): Promise<void> {
  const { findLayout } = await import('./layout.ts');
  const { clusterToStop } = await import('./lost.ts');
  const { stopCluster } = await import('./down.ts');
  const { removeDemoImages } = await import('./demo-image.ts');
  const { processesText } = await import('./parts.ts');
  const { say } = await import('./say.ts');
  const interrupted = shell.interrupt();
  shell.outliveOutput();
  interrupted.addEventListener('abort', () => {
    say(shell, 'killing everything at once');
  });
  const hurry = kill ? AbortSignal.abort() : interrupted;
  const layout = findLayout(shell.cwd);
  const cluster = clusterToStop(layout);
  const stopped = await stopCluster(layout, shell, hurry);
  shell.out.write(stopped === undefined ? 'no cluster runs here\n' : `stopped (${processesText(stopped)}); its state is gone\n`);
  if (cluster?.runtime !== 'docker') return;
  const left = await removeDemoImages(cluster.dockerSocket).catch((error: unknown) => [`those of the demo (${messageOf(error)})`]);
  if (left.length > 0) say(shell, `images that are still in the container engine: ${left.join(', ')}`);
}

async function status(shell: Shell): Promise<void> {
  const { findLayout, requireCluster } = await import('./layout.ts');
  const { stoppedParts } = await import('./parts.ts');
  const { isAlive } = await import('../../lib/process-id.ts');
  const { ShoalError } = await import('../../lib/errors.ts');
  const cluster = requireCluster(findLayout(shell.cwd));
  shell.out.write(`store ${cluster.store}, runtime ${cluster.runtime}, manager ${cluster.managers.join(', ')}\n`);
  for (const process of cluster.processes) {
    shell.out.write(`${process.name.padEnd(10)} ${isAlive(process) ? `running (pid ${process.pid})` : 'DEAD'}  ${process.logFile}\n`);
  }
  const stopped = stoppedParts(cluster);
  if (stopped !== undefined) throw new ShoalError('failed_precondition', stopped);
}

async function restart(names: readonly string[], shell: Shell): Promise<void> {
  const { findLayout } = await import('./layout.ts');
  const { restartParts } = await import('./restart.ts');
  const signal = shell.interrupt();
  const restarted = await restartParts(findLayout(shell.cwd), names, shell, signal);
  if (restarted.length === 0) shell.out.write('every part runs; nothing to restart\n');
  for (const { name, pid } of restarted) shell.out.write(`${name} restarted (pid ${pid})\n`);
}
