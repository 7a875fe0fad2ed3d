// Logs: lines of all tasks of the services and tasks named, from all nodes, and with follow of those that come later.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { sleep } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { CallContext } from '../../lib/rpc/index.ts';
import { type ControlLogsRequest, LogChunk, type Task, TaskState } from '../../proto/index.ts';
import type { Row, StateView } from '../state/index.ts';
import type { ApiContext } from './context.ts';
import { servicesAndTasksByRefs } from './refs.ts';
import { concernsService, stateLatch } from './state-latch.ts';
import { type StreamWriter, streamWriter } from './stream-writer.ts';
import { copyTaskLog } from './task-log.ts';
import { hostnameOf, taskName } from './task-names.ts';

/** Each is a stream from an agent; without follow they are short and follow one another. */
const MAX_READ_AT_ONCE = 16;
const MAX_FOLLOWED_AT_ONCE = 200;
/** A roll-out changes tasks all the time; looking for new ones goes through all of the service. */
const COALESCE_MS = 50;

/** Ends when every log has been read; with follow: when the services are gone and their tasks' logs have ended. Errors: `not_found`. */
export async function streamLogs(
  context: ApiContext,
  request: ControlLogsRequest,
  call: ServerWritableStream<ControlLogsRequest, LogChunk | Uint8Array>,
  { signal }: CallContext,
): Promise<void> {
  const { state } = context;
  checkRequest(request);
  const { services, tasks } = servicesAndTasksByRefs(state, request.refs);
  const serviceIds = services.map((row) => row.id);
  const taskIds = tasks.map((row) => row.id);
  const concerns = serviceIds.map((id) => concernsService(state, id));
  const latch = stateLatch(
    state,
    (change) => concerns.some((concern) => concern(change)) || (change.table === 'taskStatus' && taskIds.includes(change.id)),
  );
  const readers = logReaders(context, request, streamWriter<LogChunk>(call, signal), signal, () => latch.poke());
  try {
    for (let isFirst = true; ; isFirst = false) {
      for (const row of tasksWithLogs(state, serviceIds, taskIds)) await readers.add(row, isFirst);
      const isOver = !request.follow || (serviceIds.every((id) => state.get('services', id) === undefined) && allEnded(state, taskIds));
      if (isOver && readers.count() === 0) return;
      await latch.changed(signal);
      if (request.follow) await sleep(context.clock, COALESCE_MS, signal);
    }
  } finally {
    latch.end();
  }
}

function checkRequest({ refs, tail }: ControlLogsRequest): void {
  const problems = [
    ...(refs.length === 0 ? [{ path: 'refs', message: 'name a service or a task' }] : []),
    ...(tail < -1 ? [{ path: 'tail', message: `${tail} is not a number of lines; -1 stands for all` }] : []),
  ];
  if (problems.length > 0) throw ShoalError.invalid('the request is not valid', problems);
}

/** Tasks that were started once; in the order in which they were made. */
function tasksWithLogs(state: StateView, serviceIds: readonly string[], taskIds: readonly string[]): Row<Task>[] {
  const rows = new Map<string, Row<Task>>();
  for (const id of taskIds) {
    const row = state.get('tasks', id);
    if (row !== undefined) rows.set(id, row);
  }
  for (const id of serviceIds) {
    for (const row of state.tasksOfService(id)) rows.set(row.id, row);
  }
  return [...rows.values()].filter((row) => wasStarted(state, row.id)).sort((one, other) => one.createRevision - other.createRevision);
}

function wasStarted(state: StateView, taskId: string): boolean {
  const status = state.get('taskStatus', taskId)?.value;
  if (status === undefined || status.state < TaskState.STARTING || status.state === TaskState.REJECTED) return false;
  const wasStoppedBefore = status.state === TaskState.SHUTDOWN && status.containerId === '' && status.pid === 0;
  return !wasStoppedBefore;
}

function allEnded(state: StateView, taskIds: readonly string[]): boolean {
  return taskIds.every((id) => {
    const status = state.get('taskStatus', id)?.value.state;
    return status === undefined ? state.get('tasks', id) === undefined : status >= TaskState.COMPLETE;
  });
}

interface LogReaders {
  /** Starts to read the task's log unless that was done before. */
  add(row: Row<Task>, isFirst: boolean): Promise<void>;
  /** Logs that are being read or wait for their turn. */
  count(): number;
}

/** `onEnd` is called whenever one has ended. */
function logReaders(
  context: ApiContext,
  { follow, tail, sinceUnixMs }: ControlLogsRequest,
  write: StreamWriter<LogChunk>,
  signal: AbortSignal,
  onEnd: () => void,
): LogReaders {
  const limit = follow ? MAX_FOLLOWED_AT_ONCE : MAX_READ_AT_ONCE;
  const known = new Set<string>();
  const waiting: (() => void)[] = [];
  let running = 0;

  const start = (taskId: string, lines: number): void => {
    running++;
    copyTaskLog(context, { taskId, follow, tail: lines, sinceUnixMs }, write, signal)
      // Only a client that went away makes it reject, and then nobody is left to hear of it.
      .catch(() => undefined)
      .finally(() => {
        running--;
        waiting.shift()?.();
        onEnd();
      });
  };
  return {
    count: () => running + waiting.length,
    async add(row, isFirst) {
      if (known.has(row.id)) return;
      known.add(row.id);
      // Of a task that came later everything is new.
      const lines = isFirst ? tail : -1;
      if (running < limit) {
        start(row.id, lines);
        return;
      }
      waiting.push(() => start(row.id, lines));
      if (!follow) return;
      const { state } = context;
      const name = taskName(state, row.value);
      const error = `its lines come when another log has ended: at most ${limit} are followed at once`;
      const origin = { taskId: row.id, taskName: name, nodeId: row.value.nodeId, nodeHostname: hostnameOf(state, row.value.nodeId) };
      await write(LogChunk.create({ ...origin, error }));
    },
  };
}
