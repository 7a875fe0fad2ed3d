// Where `shoal dev` keeps things, and the file that names the cluster for the other verbs.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, ShoalError } from '../../lib/errors.ts';
import type { ProcessId } from '../../lib/process-id.ts';
import { runningProcesses, runningText } from './running.ts';

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

/** The layout whose cluster.json, or at least its folder, is in `cwd` or the nearest folder above it; that of `cwd` where there is none. */
export function findLayout(cwd: string): DevLayout {
  const above = layoutsAbove(cwd);
  return above.find(({ clusterFile }) => existsSync(clusterFile)) ?? above.find(({ folder }) => existsSync(folder)) ?? layoutIn(cwd);
}

function layoutsAbove(cwd: string): readonly DevLayout[] {
  return [layoutIn(cwd), ...(dirname(cwd) === cwd ? [] : layoutsAbove(dirname(cwd)))];
}

/** Throws `not_found` where there is none, `failed_precondition` where only its file is missing. */
export function requireCluster(layout: DevLayout): DevCluster {
  const cluster = readCluster(layout);
  if (cluster !== undefined) return cluster;
  refuseUnnamed(layout);
  throw new ShoalError('not_found', 'no cluster runs here; start one with `npx shoal dev up`');
}

/** Throws `failed_precondition` where a cluster runs here that no file names. */
export function refuseUnnamed(layout: DevLayout): void {
  const running = runningProcesses(layout);
  if (running.length === 0) return;
  throw new ShoalError(
    'failed_precondition',
    `a cluster runs here, but its ${layout.clusterFile} is gone: ${runningText(running)}; \`npx shoal dev down\` stops all of it`,
  );
}

/** Undefined where there is none. Throws what `isDamaged` where it cannot be read. */
export function readCluster(layout: DevLayout): DevCluster | undefined {
  let text: string;
  try {
    text = readFileSync(layout.clusterFile, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const cluster = parsed(text);
  if (cluster !== undefined) return cluster;
  const running = runningProcesses(layout);
  const what = running.length === 0 ? 'nothing of it runs' : `of it runs: ${runningText(running)}`;
  throw new ShoalError(
    'failed_precondition',
    `${layout.clusterFile} is damaged; ${what}. \`npx shoal dev down\` stops what is left and clears the folder`,
  );
}

/** Whether that is why a cluster.json could not be read. */
export function isDamaged(error: unknown): boolean {
  return error instanceof ShoalError && error.code === 'failed_precondition';
}

function parsed(text: string): DevCluster | undefined {
  try {
    const cluster = JSON.parse(text) as Partial<DevCluster> | null;
    const isWhole = [cluster?.managers, cluster?.nodes, cluster?.processes].every(Array.isArray);
    return isWhole ? (cluster as DevCluster) : undefined;
  } catch {
    return undefined;
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
