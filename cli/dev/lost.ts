// A development cluster whose cluster.json is damaged or gone: what of it runs is found by command lines, what else it left by its folders.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDamaged, type DevCluster, type DevLayout, type DevProcess, readCluster } from './layout.ts';
import { agentLaunch } from './roles.ts';
import { type RunningProcess, runningProcesses } from './running.ts';

/** As much as is to be known of it for its end; undefined where nothing is left. */
export function clusterToStop(layout: DevLayout): DevCluster | undefined {
  let damaged = false;
  try {
    const cluster = readCluster(layout);
    if (cluster !== undefined) return cluster;
  } catch (error) {
    if (!isDamaged(error)) throw error;
    damaged = true;
  }
  const running = runningProcesses(layout);
  // A damaged one is cleared also where nothing runs.
  return damaged || running.length > 0 ? lostCluster(layout, running) : undefined;
}

function lostCluster(layout: DevLayout, running: readonly RunningProcess[]): DevCluster {
  const found = running.flatMap((each): readonly DevProcess[] => {
    const { role, name, pid, startTime, commandLine } = each;
    const [command, ...args] = commandLine;
    if (role === 'mesh' || role === 'task' || command === undefined) return [];
    return [
      {
        name,
        role,
        pid,
        startTime,
        logFile: logOf(layout, name),
        command,
        args: args.filter((arg) => arg !== '--purge' && arg !== '--kill'),
      },
    ];
  });
  const agents = found.filter(({ role }) => role === 'agent');
  const dockerSocket =
    agents
      .map(({ args }) => valueOf(args, '--docker-host'))
      .find((value) => value !== undefined)
      ?.replace(/^unix:\/\//, '') ?? '';
  const names = new Set([
    ...running.filter(({ role }) => role === 'mesh' || role === 'task').map(({ name }) => name),
    ...nodeFolders(layout),
  ]);
  const gone = [...names].filter((name) => !agents.some((agent) => agent.name === name));
  const runtime = (name: string) => (existsSync(join(layout.node(name), 'tasks')) ? 'process' : 'docker');
  const dead = gone.map((name): DevProcess => {
    const node = { hostname: name, address: '127.0.0.1', portOffset: 0 };
    const launch = agentLaunch(layout, node, { manager: '127.0.0.1:1', runtime: runtime(name), dockerSocket });
    return { ...launch, logFile: logOf(layout, name), pid: 0, startTime: '' };
  });
  const ofDocker = [...agents, ...dead].some(({ args }) => valueOf(args, '--runtime') === 'docker');
  return {
    managers: [],
    store: 'embedded',
    runtime: ofDocker ? 'docker' : 'process',
    dockerSocket,
    nodes: [],
    processes: [...found, ...dead],
  };
}

/** Only where an agent has been: others have nothing to be purged. */
function nodeFolders({ folder }: DevLayout): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(join(folder, name, 'node.json')));
}

function logOf(layout: DevLayout, name: string): string {
  return join(layout.logs, `${name}.log`);
}

function valueOf(args: readonly string[], flag: string): string | undefined {
  const at = args.indexOf(flag);
  return at === -1 ? undefined : args[at + 1];
}
