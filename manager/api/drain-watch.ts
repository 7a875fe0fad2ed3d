// WatchDrain: how much is left on a node that is drained, until nothing is.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { sleep } from '../../lib/clock.ts';
import type { CallContext } from '../../lib/rpc/index.ts';
import { Availability, DrainProgress, type Task, TaskState, type WatchDrainRequest } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
import type { ApiContext } from './context.ts';
import { nodeByRef } from './refs.ts';
import { reachRevision } from './revision.ts';
import { stateLatch } from './state-latch.ts';
import { streamWriter } from './stream-writer.ts';
import { taskName } from './task-names.ts';
import { seenTask } from './task-state.ts';

const COALESCE_MS = 100;
const MAX_NAMED = 20;

/** Errors: `not_found`, `unavailable` while this manager does not have the revision yet. */
export async function watchDrain(
  context: ApiContext,
  request: WatchDrainRequest,
  call: ServerWritableStream<WatchDrainRequest, DrainProgress | Uint8Array>,
  { signal }: CallContext,
): Promise<void> {
  const { state, clock } = context;
  await reachRevision(state, request.revision);
  const { id } = nodeByRef(state, request.nodeRef);
  const latch = stateLatch(
    state,
    ({ table }) => table === 'tasks' || table === 'taskStatus' || table === 'nodes' || table === 'nodeStatus',
  );
  const write = streamWriter<Uint8Array>(call, signal);
  let last: Uint8Array | undefined;
  try {
    for (;;) {
      const progress = drainProgress(state, id);
      const bytes = DrainProgress.encode(progress);
      if (last === undefined || Buffer.compare(bytes, last) !== 0) await write(bytes);
      last = bytes;
      if (progress.empty || progress.removed || progress.notDraining) return;
      await latch.changed(signal);
      await sleep(clock, COALESCE_MS, signal);
    }
  } finally {
    latch.end();
  }
}

function drainProgress(state: StateView, nodeId: string): DrainProgress {
  const node = state.get('nodes', nodeId)?.value;
  const left: Task[] = [];
  for (const { value } of state.tasksOfNode(nodeId)) {
    if (value.verdict?.state !== TaskState.PENDING && seenTask(state, value).state < TaskState.COMPLETE) left.push(value);
  }
  return DrainProgress.create({
    nodeId,
    left: left.length,
    waiting: left.slice(0, MAX_NAMED).map((task) => `${taskName(state, task)}: ${reasonOf(state, task)}`),
    empty: left.length === 0,
    removed: node === undefined,
    notDraining: node !== undefined && node.spec?.availability !== Availability.DRAIN && left.length > 0,
  });
}

function reasonOf(state: StateView, task: Task): string {
  if (task.desired >= TaskState.SHUTDOWN) return 'is stopping';
  if (task.drain) return 'its connections end';
  const successor = [...state.tasksOfService(task.serviceId)].find(({ value }) => value.replaces === task.id)?.value;
  if (successor === undefined) return 'waits for its turn within the update limits of its service';
  const { state: seen, message } = seenTask(state, successor);
  if (seen === TaskState.PENDING) return `its replacement waits for a node: ${message}`;
  return 'its replacement comes up';
}
