// Mesh processes of this host that are not this agent's, found by their command lines: one that outlived its node's data folder still holds the
// published ports. Where the system has no /proc, none are found.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ProcessId, processId } from '../../lib/process-id.ts';

export interface RunningMesh {
  readonly id: ProcessId;
  readonly nodeId: string;
  /** As that process sees it. */
  readonly dataDir: string;
}

/** All meshes in this process's network namespace whose command line may be read: elsewhere they are in nobody's way. */
export function runningMeshes(): readonly RunningMesh[] {
  const network = linkOf('self', 'ns/net');
  return processes().flatMap((pid) => {
    const mesh = meshOf(pid);
    return mesh !== undefined && network !== undefined && linkOf(String(pid), 'ns/net') === network ? [mesh] : [];
  });
}

/**
 * Whether the mesh was started by an agent on that very data folder, by whatever path each of them sees it. For the holder of the folder's lock
 * this proves that no living agent has the mesh.
 */
export function isOfFolder(mesh: RunningMesh, agentDataDir: string): boolean {
  try {
    const theirs = statSync(`/proc/${String(mesh.id.pid)}/root${dirname(mesh.dataDir)}`);
    const ours = statSync(agentDataDir);
    return theirs.dev === ours.dev && theirs.ino === ours.ino;
  } catch {
    return false;
  }
}

/** The launcher's order of arguments, and absolute folders only. */
export function meshOfArguments(args: readonly string[]): { readonly nodeId: string; readonly dataDir: string } | undefined {
  const at = args.indexOf('mesh');
  const [dataFlag, dataDir, nodeFlag, nodeId] = args.slice(at + 1);
  if (at === -1 || dataFlag !== '--data-dir' || nodeFlag !== '--node-id') return undefined;
  return dataDir?.startsWith('/') === true && nodeId !== undefined && nodeId !== '' ? { nodeId, dataDir } : undefined;
}

function meshOf(pid: number): RunningMesh | undefined {
  try {
    const found = meshOfArguments(readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8').split('\0'));
    return found === undefined ? undefined : { ...found, id: processId(pid) };
  } catch {
    return undefined;
  }
}

function processes(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function linkOf(process: string, name: string): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/${name}`);
  } catch {
    return undefined;
  }
}
