// Several hosts on this machine: network namespaces on a bridge that lives in a namespace of its own, without a way out.
// Everything is named after this process, so that runs do not meet, and removed by `remove`, also what an earlier run left.
import { type ChildProcess, execFile, spawn, type SpawnOptions } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

const PREFIX = 'shoaltest';
const NAMESPACES = '/run/netns';

export interface Host {
  /** "h1", ... */
  readonly name: string;
  readonly address: string;
  /** Path for nsenter --net. */
  readonly namespace: string;
  /** Starts a program on the host. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs a program on the host to its end; rejects when it fails. */
  run(command: string, args: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }>;
  /** Takes the host's link down, or brings it back. */
  cutOff(): Promise<void>;
  reconnect(): Promise<void>;
}

export interface Hosts {
  readonly list: readonly Host[];
  remove(): Promise<void>;
}

let networks = 0;

export async function createHosts(count: number): Promise<Hosts> {
  await removeLeftovers();
  const network = ++networks;
  const id = `${PREFIX}-${process.pid}-${network}`;
  const bridge = `${id}-net`;
  const made: string[] = [];
  const addNamespace = async (name: string): Promise<void> => {
    await run('ip', ['netns', 'add', name]);
    made.push(name);
    await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  };
  const remove = async (): Promise<void> => {
    for (const name of made.toReversed()) await run('ip', ['netns', 'delete', name]).catch(() => undefined);
  };
  try {
    await addNamespace(bridge);
    await run('ip', ['-n', bridge, 'link', 'add', 'br0', 'type', 'bridge']);
    await run('ip', ['-n', bridge, 'link', 'set', 'br0', 'up']);
    const list: Host[] = [];
    for (let index = 1; index <= count; index++) {
      const name = `h${index}`;
      const namespace = `${id}-${name}`;
      const address = `10.213.${network}.${index}`;
      await addNamespace(namespace);
      await run('ip', ['-n', bridge, 'link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
      await run('ip', ['-n', bridge, 'link', 'set', `to-${name}`, 'master', 'br0', 'up']);
      await run('ip', ['-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
      await run('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up']);
      list.push(hostOf(name, address, `${NAMESPACES}/${namespace}`, bridge));
    }
    return { list, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function hostOf(name: string, address: string, namespace: string, bridge: string): Host {
  // Not `ip netns exec`: that mounts a fresh /sys, which hides the cgroups from engines.
  const inside = (command: string, args: readonly string[]): [string, string[]] => ['nsenter', [`--net=${namespace}`, command, ...args]];
  const link = (state: 'up' | 'down') => run('ip', ['-n', bridge, 'link', 'set', `to-${name}`, state]);
  return {
    name,
    address,
    namespace,
    spawn: (command, args, options = {}) => spawn(...inside(command, args), options),
    run: (command, args) => run(...inside(command, args), { maxBuffer: 64 * 1024 * 1024 }),
    cutOff: async () => {
      await link('down');
    },
    reconnect: async () => {
      await link('up');
    },
  };
}

/** Namespaces of runs whose process is gone. */
async function removeLeftovers(): Promise<void> {
  for (const name of namespaces()) {
    const pid = Number(/^shoaltest-(\d+)-/.exec(name)?.[1]);
    if (Number.isInteger(pid) && !isRunning(pid)) await run('ip', ['netns', 'delete', name]).catch(() => undefined);
  }
}

function namespaces(): readonly string[] {
  try {
    return readdirSync(NAMESPACES);
  } catch {
    return [];
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
