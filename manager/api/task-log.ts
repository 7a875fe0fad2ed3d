// The log of one task, read from its node: to its end, or followed across broken streams until the task has ended.
import { backoff } from '../../lib/backoff.ts';
import { sleep, withDeadline } from '../../lib/clock.ts';
import { isErrorCode, ShoalError } from '../../lib/errors.ts';
import { LogChunk, LogsRequest, NodeState, OpenStream, type OutputChunk, type StreamEnd } from '../../proto/index.ts';
import type { TaskStream } from '../dispatcher/task-streams.ts';
import type { ApiContext } from './context.ts';
import type { StreamWriter } from './stream-writer.ts';
import { hostnameOf, taskName } from './task-names.ts';
import { isFinished, seenTask } from './task-state.ts';

export interface TaskLogRequest {
  readonly taskId: string;
  readonly follow: boolean;
  /** Lines from the end; -1: all. */
  readonly tail: number;
  readonly sinceUnixMs: number;
}

const OPEN_DEADLINE_MS = 10_000;
/** An agent that reads a log has the next lines at hand. */
const IDLE_DEADLINE_MS = 30_000;
const RETRY = { baseMs: 200, capMs: 5000 };

/**
 * Never rejects for the task's own sake: what goes wrong becomes an error chunk, and others go on. A followed log is taken up again at the
 * time of its last line (which may then come twice) for as long as the task runs. Rejects when the client goes away.
 */
export async function copyTaskLog(
  context: ApiContext,
  request: TaskLogRequest,
  write: StreamWriter<LogChunk>,
  signal: AbortSignal,
): Promise<void> {
  const { state, clock, rng } = context;
  const retry = backoff(RETRY, rng);
  const origin = originOf(context, request.taskId);
  let { tail, sinceUnixMs } = request;
  let isTold = false;
  const onOutput = async (chunk: OutputChunk): Promise<void> => {
    retry.reset();
    isTold = false;
    if (chunk.timeUnixMs > 0) {
      sinceUnixMs = chunk.timeUnixMs;
      tail = -1;
    }
    await write(LogChunk.create({ ...origin, chunk }));
  };
  for (;;) {
    try {
      await copyOnce(context, { ...request, tail, sinceUnixMs }, onOutput, signal);
      return;
    } catch (error) {
      if (signal.aborted) throw error;
      const reason = ShoalError.from(error);
      if (!isTold) await write(LogChunk.create({ ...origin, error: reason.message }));
      isTold = true;
      const task = state.get('tasks', request.taskId);
      if (!request.follow || !reason.retryable || task === undefined || isFinished(seenTask(state, task.value).state)) return;
    }
    await sleep(clock, retry.nextMs(), signal);
  }
}

async function copyOnce(
  context: ApiContext,
  { taskId, follow, tail, sinceUnixMs }: TaskLogRequest,
  onOutput: (chunk: OutputChunk) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, state } = context;
  const nodeId = state.get('tasks', taskId)?.value.nodeId;
  if (nodeId === undefined) throw new ShoalError('not_found', 'the task and its log are gone');
  const logs = LogsRequest.create({ taskId, follow, tail, sinceUnixMs, stdout: true, stderr: true });
  const stream = await openTaskStream(context, nodeId, OpenStream.create({ request: { case: 'logs', value: logs } }), signal);
  const close = (): void => stream.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    const frames = stream[Symbol.asyncIterator]();
    for (;;) {
      const next = follow
        ? await frames.next()
        : await withDeadline(clock, IDLE_DEADLINE_MS, 'the next lines from the node', () => frames.next(), signal);
      if (next.done === true) throw endedEarly(signal);
      const frame = next.value.frame;
      if (frame?.case === 'output') await onOutput(frame.value);
      if (frame?.case === 'end') {
        refuseFailure(frame.value);
        return;
      }
    }
  } finally {
    signal.removeEventListener('abort', close);
    stream.close();
  }
}

/** A stream to the task's node. Rejects with `unavailable` at once where the node is known to be away, else after the deadline. */
export async function openTaskStream(context: ApiContext, nodeId: string, request: OpenStream, signal: AbortSignal): Promise<TaskStream> {
  const { state, clock, taskStreams } = context;
  const name = hostnameOf(state, nodeId) || nodeId;
  const status = state.get('nodeStatus', nodeId)?.value;
  if (status?.state !== NodeState.NODE_READY) {
    const reason = status?.message === undefined || status.message === '' ? '' : ` (${status.message})`;
    throw new ShoalError('unavailable', `node ${name} does not answer${reason}`);
  }
  let isLate = false;
  const opening = async (ended: AbortSignal): Promise<TaskStream> => {
    const stream = await taskStreams.open(nodeId, request, ended);
    if (isLate) stream.close();
    return stream;
  };
  try {
    return await withDeadline(clock, OPEN_DEADLINE_MS, `opening a stream to node ${name}`, opening, signal);
  } catch (error) {
    isLate = true;
    throw error;
  }
}

/** What the agent ended the stream with, as an error where it is one. */
export function refuseFailure({ error, errorCode }: StreamEnd): void {
  if (error !== '') throw new ShoalError(isErrorCode(errorCode) ? errorCode : 'internal', error);
}

export function endedEarly(signal: AbortSignal): ShoalError {
  return signal.aborted
    ? new ShoalError('cancelled', 'the client went away')
    : new ShoalError('unavailable', 'the node ended the stream before it was complete');
}

function originOf({ state }: ApiContext, taskId: string): Pick<LogChunk, 'taskId' | 'taskName' | 'nodeId' | 'nodeHostname'> {
  const task = state.get('tasks', taskId)?.value;
  if (task === undefined) return { taskId, taskName: '', nodeId: '', nodeHostname: '' };
  return { taskId, taskName: taskName(state, task), nodeId: task.nodeId, nodeHostname: hostnameOf(state, task.nodeId) };
}
