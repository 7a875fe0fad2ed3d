// Exec: finds the running task, opens a stream to its node, and passes frames both ways at the speed of the slower side.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { withDeadline } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { failCall } from '../../lib/rpc/server.ts';
import { enumName, type ExecDown, type ExecStart, type ExecUp, OpenStream, type Task, TaskState } from '../../proto/index.ts';
import type { TaskStreamDown } from '../../proto/index.ts';
import type { TaskStream } from '../dispatcher/task-streams.ts';
import type { Row, StateView } from '../state/index.ts';
import type { ApiContext } from './context.ts';
import { taskByRef } from './refs.ts';
import { reachClientRevision } from './revision.ts';
import { streamWriter } from './stream-writer.ts';
import { endedEarly, openTaskStream } from './task-log.ts';
import { taskName } from './task-names.ts';
import { seenTask } from './task-state.ts';

type ExecCall = ServerDuplexStream<ExecUp, ExecDown | Uint8Array>;

const PATH = '/shoal.v1.Control/Exec';
/** A client that connects and says nothing is not waited for. */
const START_DEADLINE_MS = 10_000;

export function exec(context: ApiContext, call: ExecCall): void {
  const gone = new AbortController();
  const frames = call.iterator({ destroyOnReturn: false });
  call.on('cancelled', () => gone.abort());
  runExec(context, call, frames, gone.signal).then(
    () => {
      call.end();
    },
    (error: unknown) => {
      if (!gone.signal.aborted) failCall(call, error, PATH, context.log);
    },
  );
}

async function runExec(context: ApiContext, call: ExecCall, frames: AsyncIterator<ExecUp>, signal: AbortSignal): Promise<void> {
  const { state, clock } = context;
  const first = await withDeadline(clock, START_DEADLINE_MS, 'the first frame (start)', () => frames.next(), signal);
  const start = first.done === true ? undefined : first.value.frame;
  if (start?.case !== 'start') throw new ShoalError('invalid_argument', 'the first frame of Exec must be start');
  await reachClientRevision(state, call.metadata);
  const task = runningTask(state, start.value);
  const request = OpenStream.create({ request: { case: 'exec', value: { ...commandOf(start.value), taskId: task.id } } });
  const stream = await openTaskStream(context, task.value.nodeId, request, signal);
  const close = (): void => stream.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    const failed = new Promise<never>((_resolve, reject) => {
      passInput(frames, stream).catch(reject);
    });
    await Promise.race([passOutput(stream, call, signal), failed]);
  } finally {
    signal.removeEventListener('abort', close);
    stream.close();
  }
}

function commandOf({ exec: command }: ExecStart): NonNullable<ExecStart['exec']> {
  if (command === undefined || command.command.length === 0 || command.command[0] === '') {
    throw ShoalError.invalid('the request is not valid', [{ path: 'exec.command', message: 'a command is needed' }]);
  }
  return command;
}

function runningTask(state: StateView, start: ExecStart): Row<Task> {
  const row = taskByRef(state, start.ref);
  const seen = seenTask(state, row.value);
  if (seen.state === TaskState.RUNNING) return row;
  throw new ShoalError(
    'failed_precondition',
    `task ${taskName(state, row.value)} (${row.id}) is ${enumName(TaskState, seen.state).toLowerCase()}: a command can be run in a running task only`,
  );
}

async function passOutput(stream: TaskStream, call: ExecCall, signal: AbortSignal): Promise<void> {
  const write = streamWriter<ExecDown>(call, signal);
  for await (const { frame } of stream) {
    if (frame?.case === 'output') await write({ frame });
    if (frame?.case === 'end') {
      await write({ frame });
      return;
    }
  }
  throw endedEarly(signal);
}

/** Ends quietly when either side has ended: the output tells the rest. Rejects with `invalid_argument` for a second start. */
async function passInput(frames: AsyncIterator<ExecUp>, stream: TaskStream): Promise<void> {
  for (;;) {
    const next = await frames.next().catch(() => undefined);
    const frame: TaskStreamDown['frame'] = next === undefined || next.done === true ? { case: 'inputEnd', value: {} } : inputOf(next.value);
    if (frame !== undefined && !(await wasSent(stream, { frame }))) return;
    if (next === undefined || next.done === true) return;
  }
}

function inputOf({ frame }: ExecUp): TaskStreamDown['frame'] {
  if (frame?.case === 'start') throw new ShoalError('invalid_argument', 'start can be the first frame of Exec only');
  return frame;
}

async function wasSent(stream: TaskStream, frame: TaskStreamDown): Promise<boolean> {
  try {
    await stream.send(frame);
    return true;
  } catch {
    return false;
  }
}
