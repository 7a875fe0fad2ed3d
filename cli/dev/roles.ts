// The command lines of the parts of a development cluster.
import { fileURLToPath } from 'node:url';
import type { Launch } from './processes.ts';
import type { DevLayout, DevNode } from './layout.ts';

const ENTRY = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../main.ts' : '../main.js', import.meta.url));
/** How this process was started from sources (a loader, say) is passed on to the parts. */
const SHOAL = [...process.execArgv, ENTRY];

export interface EtcdPorts {
  readonly client: number;
  readonly peer: number;
}

export function etcdLaunch(layout: DevLayout, binary: string, { client, peer }: EtcdPorts): Launch {
  const clientUrl = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const flags = ['--name', 'dev', '--data-dir', layout.etcd, '--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl];
  const peers = ['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `dev=${peerUrl}`];
  return { name: 'etcd', role: 'etcd', command: binary, args: [...flags, ...peers] };
}

/** `etcdClientPort` undefined: the embedded store. */
export function managerLaunch(layout: DevLayout, listen: string, etcdClientPort: number | undefined): Launch {
  const store = etcdClientPort === undefined ? [] : ['--etcd', `http://127.0.0.1:${etcdClientPort}`];
  const args = [...SHOAL, 'manager', '--data-dir', layout.manager, '--listen', listen, '--health-addr', 'none', ...store];
  return { name: 'manager', role: 'manager', command: process.execPath, args };
}

export interface AgentSettings {
  readonly manager: string;
  readonly runtime: 'docker' | 'process';
  /** Empty: the usual one. */
  readonly dockerSocket: string;
}

export function agentLaunch(layout: DevLayout, node: DevNode, settings: AgentSettings): Launch {
  return { name: node.hostname, role: 'agent', command: process.execPath, args: agentArgs(layout, node, settings) };
}

export function agentArgs(layout: DevLayout, node: DevNode, { manager, runtime, dockerSocket }: AgentSettings): readonly string[] {
  const where = ['--data-dir', layout.node(node.hostname), '--data-addr', node.address, '--hostname', node.hostname];
  const mesh = ['--mesh-listen', node.address, ...(node.portOffset === 0 ? [] : ['--mesh-port-offset', String(node.portOffset)])];
  const engine = runtime === 'docker' && dockerSocket !== '' ? ['--docker-host', `unix://${dockerSocket}`] : [];
  return [
    ...SHOAL,
    'agent',
    '--manager',
    manager,
    ...where,
    ...mesh,
    '--runtime',
    runtime,
    ...engine,
    '--health-addr',
    'none',
    '--ephemeral',
  ];
}
