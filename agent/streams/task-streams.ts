// Answers what a manager asks to be opened: dials a stream for it, attaches, and sends a task's logs, runs a command in it, or tells what the mesh does.
import type { MeshStatusPage, OpenStream, TaskStreamDown } from '../../proto/index.ts';
import { type Clock } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { asError } from '../../lib/rpc/index.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { ManagerClient } from '../session/session.ts';
import { streamExec } from './exec-stream.ts';
import { type FrameWriter, frameWriter, type TaskCall } from './frame-writer.ts';
import { streamLogs } from './logs-stream.ts';

export interface TaskStreams {
  open(request: OpenStream, client: Pick<ManagerClient, 'taskStream'>, nodeId: string): void;
  count(): number;
  /** Cuts all of them. */
  stop(): void;
}

export interface TaskStreamOptions {
  readonly runtime: Runtime;
  /** Whether this node has the task. */
  readonly has: (taskId: string) => boolean;
  /** Of this node's mesh. */
  readonly meshPages: (targets: boolean, signal: AbortSignal) => AsyncIterable<MeshStatusPage>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Streams at the same time; more are refused. */
  readonly limit?: number;
}

const LIMIT = 128;
const ATTACH_MS = 10_000;
/** After the last frame: for the manager to take it and close. */
const CLOSE_MS = 10_000;

export function taskStreams(options: TaskStreamOptions): TaskStreams {
  const { runtime, clock, log } = options;
  const limit = options.limit ?? LIMIT;
  const open = new Map<string, AbortController>();

  const serve = async (request: OpenStream, call: TaskCall, writer: FrameWriter, signal: AbortSignal): Promise<number | undefined> => {
    const asked = request.request;
    if (asked === undefined) throw new ShoalError('unimplemented', 'this agent does not know that kind of stream; is the manager newer?');
    if (asked.case === 'meshStatus') {
      const { targets, lag } = asked.value;
      for await (const page of options.meshPages(targets, signal)) await writer.write({ case: 'mesh', value: { lag, page } });
      return undefined;
    }
    if (!options.has(asked.value.taskId)) throw new ShoalError('not_found', `task ${asked.value.taskId} has no container on this node`);
    switch (asked.case) {
      case 'logs':
        // Nothing is expected down the stream but its end, which is only seen while it flows.
        call.resume();
        await streamLogs(runtime, asked.value, writer, signal);
        return undefined;
      case 'exec':
        return streamExec(runtime, asked.value, call, writer, signal);
    }
  };
  const run = async (request: OpenStream, call: TaskCall, nodeId: string, controller: AbortController, refused: boolean): Promise<void> => {
    const { signal } = controller;
    const cut = (error: ShoalError): void => {
      controller.abort(error);
      call.cancel();
    };
    call.on('error', (error: unknown) => {
      controller.abort(new ShoalError('cancelled', `the manager closed the stream: ${messageOf(error)}`));
    });
    call.on('status', () => {
      controller.abort(new ShoalError('cancelled', 'the manager closed the stream'));
    });
    const writer = frameWriter(call, signal);
    const accepted = acceptance(call, signal);
    // Whoever waits first hears of it; the other must not count as unhandled.
    accepted.catch(() => undefined);
    const timer = clock.after(ATTACH_MS, () => {
      cut(new ShoalError('deadline_exceeded', 'the manager did not accept the stream'));
    });
    await writer.write({ case: 'attach', value: { streamId: request.streamId, nodeId } });
    try {
      await accepted;
    } finally {
      timer.cancel();
    }
    let end = { exitCode: undefined as number | undefined, error: '', errorCode: '' };
    try {
      if (refused)
        throw new ShoalError('resource_exhausted', `this node has ${String(limit)} streams open already; close some and try again`);
      end = { ...end, exitCode: await serve(request, call, writer, signal) };
    } catch (error) {
      if (signal.aborted) throw error;
      const known = ShoalError.from(error);
      if (known.code === 'internal') asError(error, 'TaskStream', log);
      end = { ...end, error: known.message, errorCode: known.code };
    }
    await writer.write({ case: 'end', value: end });
    call.end();
    await closed(signal, clock);
    call.cancel();
  };
  return {
    open(request, client, nodeId) {
      const refused = open.size >= limit;
      if (open.size >= 2 * limit || open.has(request.streamId)) {
        log.warn('a stream was not opened', { streamId: request.streamId, open: open.size });
        return;
      }
      const controller = new AbortController();
      open.set(request.streamId, controller);
      const call: TaskCall = client.taskStream();
      run(request, call, nodeId, controller, refused)
        .catch((error: unknown) => {
          log.debug('a stream ended early', { streamId: request.streamId, error });
          call.cancel();
        })
        .finally(() => {
          controller.abort();
          open.delete(request.streamId);
        });
    },
    count: () => open.size,
    stop() {
      for (const controller of open.values()) controller.abort(new ShoalError('cancelled', 'the agent stops'));
    },
  };
}

/** Resolves when the peer has closed the stream, or had its time to. */
function closed(signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      timer.cancel();
      resolve();
    };
    const timer = clock.after(CLOSE_MS, settle);
    if (signal.aborted) settle();
    else signal.addEventListener('abort', settle, { once: true });
  });
}

/** Resolves at the frame `accepted`, and pauses the stream so that nothing after it is lost. */
function acceptance(call: TaskCall, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onData = ({ frame }: TaskStreamDown): void => {
      settle();
      if (frame?.case === 'accepted') resolve();
      else reject(new ShoalError('invalid_argument', 'the manager sent something before it accepted the stream'));
    };
    const onAbort = (): void => {
      settle();
      reject(ShoalError.from(signal.reason));
    };
    const settle = (): void => {
      call.off('data', onData);
      call.pause();
      signal.removeEventListener('abort', onAbort);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    call.on('data', onData);
  });
}
