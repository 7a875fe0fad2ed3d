// What is left of a node that was removed from its cluster: its mesh is ended and its tasks are stopped, the mesh first, so that no connection is
// let in on its way to a task that stops. The agent stays, without a manager, to say so: a supervisor would only start it again.
import { type Clock, sleep } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Worker } from './worker/worker.ts';

export interface RemovedNodeOptions {
  readonly dataDir: string;
  readonly worker: Worker;
  /** Resolves when the mesh is gone; open connections have until then. */
  readonly endMesh: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RemovedNode {
  /** For readyz: never undefined. */
  trouble(): string;
  stop(): void;
}

const LOOK_MS = 250;

export function clearRemovedNode(options: RemovedNodeOptions): RemovedNode {
  const { dataDir, worker, clock, log } = options;
  const stopping = new AbortController();
  const rejoin = `to join again as a new node, stop this agent, remove ${dataDir}, and start it`;
  let cleared = false;

  const clear = async (): Promise<void> => {
    log.error('this node was removed from the cluster; stopping its tasks and its mesh', { rejoin });
    await options.endMesh().catch((error: unknown) => {
      log.error('the mesh cannot be ended; stopping the tasks all the same', { error: messageOf(error) });
    });
    // Nothing is assigned to it any more; what the engine does not do at once is tried until it does.
    worker.apply(new Map(), true);
    while (!worker.adopted() || worker.taskCount() > 0) await sleep(clock, LOOK_MS, stopping.signal);
    cleared = true;
    log.error('this node was removed from the cluster; its tasks and its mesh are gone', { rejoin });
  };
  clear().catch((error: unknown) => {
    if (!stopping.signal.aborted) log.error('what this node runs cannot be ended', { error });
  });
  return {
    trouble() {
      const left = worker.adopted()
        ? `${String(worker.taskCount())} of its tasks are still to be removed`
        : 'its tasks are still to be found';
      return `this node was removed from the cluster; ${cleared ? '' : `${left}; `}${rejoin}`;
    },
    stop() {
      stopping.abort();
    },
  };
}
