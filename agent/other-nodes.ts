// What other nodes of the cluster have on this host: an agent that lost its data folder joins as a new node, and its former tasks and mesh run
// on. They are ended once a manager says that their node was removed; until then they may be those of a living agent beside this one.
import type { Epoch, NodeFates } from '../proto/index.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf, ShoalError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { endProcess } from './mesh/mesh-process.ts';
import type { RunningMesh } from './mesh/other-meshes.ts';
import type { OtherInstance, Runtime } from './runtime/runtime.ts';

export interface OtherNodesOptions {
  readonly runtime: Pick<Runtime, 'listOthers' | 'stop' | 'remove'>;
  readonly meshes: () => readonly RunningMesh[];
  /** Of this agent: its own mesh is left out. */
  readonly nodeId: () => string;
  /** To a manager; lost where there is none now. */
  readonly ask: (nodeIds: readonly string[]) => void;
  /** Why what a manager says at this epoch is not to be acted on. */
  readonly refusal: (said: Epoch | undefined) => string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface OtherNodes {
  /** Once this node has its assignments; later calls change nothing. */
  begin(): void;
  answered(fates: NodeFates): void;
  stop(): void;
}

interface Left {
  readonly tasks: readonly OtherInstance[];
  readonly meshes: readonly RunningMesh[];
}

/** While something is there; where nothing was found at the start there will be nothing. */
const LOOK_AGAIN_MS = 10_000;
/** Open connections through such a mesh have so long. */
const MESH_GRACE_MS = 5000;
const MAX_NAMED = 5;

export function otherNodes(options: OtherNodesOptions): OtherNodes {
  const { runtime, clock, log } = options;
  const stopping = new AbortController();
  /** Nodes that people were told about. */
  const warned = new Set<string>();
  let found: ReadonlyMap<string, Left> = new Map();
  let timer: Timer | undefined;
  let begun = false;
  let clearing = false;

  const look = async (): Promise<void> => {
    try {
      const tasks = await runtime.listOthers(stopping.signal);
      const meshes = options.meshes().filter((mesh) => mesh.nodeId !== options.nodeId());
      const ids = new Set([...tasks, ...meshes].map(({ nodeId }) => nodeId));
      found = new Map(
        [...ids].map((id) => [id, { tasks: tasks.filter((one) => one.nodeId === id), meshes: meshes.filter((one) => one.nodeId === id) }]),
      );
      if (found.size === 0) return;
      options.ask([...found.keys()]);
    } catch (error) {
      log.debug('cannot look for what other nodes left here', { error: messageOf(error) });
    }
    if (!stopping.signal.aborted) timer = clock.after(LOOK_AGAIN_MS, () => void look(), true);
  };
  const warn = (nodeId: string, left: Left): void => {
    if (warned.has(nodeId)) return;
    warned.add(nodeId);
    log.warn('another node, which is down, has tasks or a mesh on this host; is it this host from before it lost its data folder?', {
      ...namesOf(nodeId, left),
      wayOut: `if it is not to come back: shoal node rm ${nodeId}, and they are ended here`,
    });
  };
  const clear = async (nodeId: string, left: Left): Promise<void> => {
    log.warn('ending what a removed node left on this host', namesOf(nodeId, left));
    for (const mesh of left.meshes) await endProcess(mesh.id, MESH_GRACE_MS, clock);
    const ended = await Promise.allSettled(
      left.tasks.map(async ({ taskId }) => {
        await runtime.stop(taskId, stopping.signal).catch(unlessMissing);
        await runtime.remove(taskId, stopping.signal);
      }),
    );
    const [failed] = ended.flatMap((each) => (each.status === 'rejected' ? [messageOf(each.reason)] : []));
    if (failed !== undefined && !stopping.signal.aborted)
      log.warn('some of it could not be ended; trying again', { nodeId, reason: failed });
  };
  const clearAll = async (nodeIds: readonly string[]): Promise<void> => {
    clearing = true;
    for (const nodeId of nodeIds) {
      const left = found.get(nodeId);
      if (left !== undefined && nodeId !== options.nodeId() && !stopping.signal.aborted) await clear(nodeId, left);
    }
    clearing = false;
  };

  return {
    begin() {
      if (begun) return;
      begun = true;
      void look();
    },
    answered(fates) {
      const refusal = options.refusal(fates.epoch);
      if (refusal !== undefined) {
        log.warn('what a manager says of other nodes is not acted on', { reason: refusal });
        return;
      }
      for (const nodeId of fates.downNodeIds) {
        const left = found.get(nodeId);
        if (left !== undefined) warn(nodeId, left);
      }
      if (clearing || fates.removedNodeIds.length === 0) return;
      clearAll(fates.removedNodeIds).catch((error: unknown) => {
        log.error('what removed nodes left here cannot be ended', { error });
      });
    },
    stop() {
      timer?.cancel();
      stopping.abort(new ShoalError('cancelled', 'the agent stops'));
    },
  };
}

function namesOf(nodeId: string, { tasks, meshes }: Left): Readonly<Record<string, unknown>> {
  return {
    nodeId,
    tasks: tasks.length,
    taskIds: tasks.slice(0, MAX_NAMED).map(({ taskId }) => taskId),
    meshPids: meshes.map(({ id }) => id.pid),
  };
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof ShoalError && error.code === 'not_found')) throw error;
}
