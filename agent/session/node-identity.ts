// Who this node is: made by a manager at the first registration, then kept on disk for good, also once the node was removed.
import { join } from 'node:path';
import { type Disk, systemDisk } from '../../lib/durable-file.ts';
import { ShoalError } from '../../lib/errors.ts';

export interface NodeIdentity {
  readonly nodeId: string;
  readonly clusterId: string;
}

export interface IdentityFile {
  /** Undefined until the first registration. */
  current(): NodeIdentity | undefined;
  /**
   * Takes what a manager said at registration, on disk before it returns. Throws `failed_precondition` where that is another node or cluster
   * than this one's.
   */
  confirm(said: NodeIdentity): void;
  /** This node was removed from its cluster: it runs nothing any more, in this process or a later one. */
  removed(): boolean;
  /** Of a node that has an identity. Holds for this process even where it throws because the disk does not take it. */
  markRemoved(): void;
}

const FILE = 'node.json';

/** Throws `failed_precondition` on a file that cannot be understood: guessing could join the host to a cluster as a second node. */
export function openIdentity(dataDir: string, disk: Disk = systemDisk): IdentityFile {
  const path = join(dataDir, FILE);
  const stored = load(path, disk);
  let current: NodeIdentity | undefined = stored && { nodeId: stored.nodeId, clusterId: stored.clusterId };
  let removed = stored?.removed === true;
  return {
    current: () => current,
    removed: () => removed,
    markRemoved() {
      removed = true;
      disk.writeSync(path, JSON.stringify({ ...current, removed }));
    },
    confirm(said) {
      if (said.nodeId === '' || said.clusterId === '')
        throw new ShoalError(
          'failed_precondition',
          'the manager registered this node without a node or cluster id; is it of another version?',
        );
      if (current === undefined) {
        disk.writeSync(path, JSON.stringify({ nodeId: said.nodeId, clusterId: said.clusterId }));
        current = { nodeId: said.nodeId, clusterId: said.clusterId };
        return;
      }
      if (said.clusterId !== current.clusterId)
        throw new ShoalError(
          'failed_precondition',
          `this node belongs to cluster ${current.clusterId}, the manager is of ${said.clusterId}; give a --manager of its own cluster, or an empty --data-dir to join the other`,
        );
      if (said.nodeId !== current.nodeId)
        throw new ShoalError('failed_precondition', `this is node ${current.nodeId}, the manager registered it as ${said.nodeId}`);
    },
  };
}

function load(path: string, disk: Disk): (NodeIdentity & { readonly removed: boolean }) | undefined {
  const text = disk.read(path)?.toString();
  if (text === undefined) return undefined;
  try {
    const { nodeId, clusterId, removed } = JSON.parse(text) as Partial<NodeIdentity & { readonly removed: boolean }>;
    if (typeof nodeId === 'string' && typeof clusterId === 'string' && nodeId !== '' && clusterId !== '')
      return { nodeId, clusterId, removed: removed === true };
  } catch {
    // Named below.
  }
  throw new ShoalError(
    'failed_precondition',
    `${path} does not hold a node's identity; restore it, or move the data folder away to register this host as a new node`,
  );
}
