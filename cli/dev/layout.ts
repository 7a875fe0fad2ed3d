// Where `shoal dev` keeps things, and the file that names the cluster for the other verbs.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, ShoalError } from '../../lib/errors.ts';
import type { ProcessId } from '../../lib/process-id.ts';

export interface DevProcess extends ProcessId {
  /** "etcd", "manager", "node-1", ... */
  readonly name: string;
  readonly role: 'etcd' | 'manager' | 'agent';
  readonly logFile: string;
  /** How it was started, and is started again. */
  readonly command: string;
  readonly args: readonly string[];
}

export interface DevNode {
  readonly hostname: string;
  /** Data address, and where its mesh answers published ports. */
  readonly address: string;
  /** Added to every published port where all nodes share one address; otherwise 0. */
  readonly portOffset: number;
}

/** cluster.json: written before the first process is started, and again after each. */
export interface DevCluster {
  /** host:port; what other verbs read. */
  readonly managers: readonly string[];
  readonly store: 'etcd' | 'embedded';
  readonly runtime: 'docker' | 'process';
  readonly dockerSocket: string;
  readonly nodes: readonly DevNode[];
  readonly processes: readonly DevProcess[];
}

export interface DevLayout {
  readonly folder: string;
  readonly clusterFile: string;
  readonly logs: string;
  readonly etcd: string;
  readonly manager: string;
  node(hostname: string): string;
}

const FOLDER = join('.shoal', 'dev');

export function layoutIn(root: string): DevLayout {
  const folder = join(root, FOLDER);
  return {
    folder,
    clusterFile: join(folder, 'cluster.json'),
    logs: join(folder, 'logs'),
    etcd: join(folder, 'etcd'),
    manager: join(folder, 'manager'),
    node: (hostname) => join(folder, hostname),
  };
}

/** The layout whose cluster.json is in `cwd` or the nearest folder above it; that of `cwd` where there is none. */
export function findLayout(cwd: string): DevLayout {
  for (let root = cwd; ; root = dirname(root)) {
    const layout = layoutIn(root);
    if (readCluster(layout) !== undefined) return layout;
    if (dirname(root) === root) return layoutIn(cwd);
  }
}

/** Throws `not_found` where there is none. */
export function requireCluster(layout: DevLayout): DevCluster {
  const cluster = readCluster(layout);
  if (cluster === undefined) throw new ShoalError('not_found', 'no cluster runs here; start one with `npx shoal dev up`');
  return cluster;
}

export function readCluster(layout: DevLayout): DevCluster | undefined {
  let text: string;
  try {
    text = readFileSync(layout.clusterFile, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as DevCluster;
  } catch (error) {
    throw new ShoalError(
      'failed_precondition',
      `${layout.clusterFile} cannot be read; remove the folder ${layout.folder} and start again`,
      {
        cause: error,
      },
    );
  }
}

export function writeCluster(layout: DevLayout, cluster: DevCluster): void {
  mkdirSync(layout.logs, { recursive: true, mode: 0o700 });
  const beside = `${layout.clusterFile}.new`;
  writeFileSync(beside, `${JSON.stringify(cluster, undefined, 2)}\n`);
  renameSync(beside, layout.clusterFile);
}

export function removeAll(layout: DevLayout): void {
  rmSync(layout.folder, { recursive: true, force: true });
}
