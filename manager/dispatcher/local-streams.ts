// Streams of logs and exec towards agents whose sessions are here: asks over the session, waits for the agent to dial in, joins the two.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Ids } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import { type RareLog, rareLog } from '../../lib/rare-log.ts';
import { failCall } from '../../lib/rpc/index.ts';
import type { OpenStream, TaskStreamDown, TaskStreamUp } from '../../proto/index.ts';
import { frameStream } from './frame-stream.ts';
import type { TaskStream } from './task-streams.ts';

export type AttachCall = ServerDuplexStream<TaskStreamUp, TaskStreamDown | Uint8Array>;

export interface LocalStreamOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly attachMs: number;
  readonly maxPerNode: number;
  /** Passes the request to the node's agent; undefined: no session here; false: its stream is full. */
  readonly ask: (nodeId: string, request: OpenStream) => boolean | undefined;
  readonly onCount: (open: number) => void;
}

interface Pending {
  readonly nodeId: string;
  readonly timer: Timer;
  readonly attached: (stream: TaskStream) => void;
  readonly failed: (error: ShoalError) => void;
}

const PATH = 'AgentSession/TaskStream';
/** In ten seconds. */
const MAX_WARNINGS = 20;

export class LocalStreams {
  readonly #options: LocalStreamOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #open = new Map<TaskStream, string>();

  readonly #warn: RareLog;

  constructor(options: LocalStreamOptions) {
    this.#options = options;
    this.#warn = rareLog(options.log, options.clock, { perPeriod: MAX_WARNINGS });
  }

  /** As TaskStreams.open, for sessions of this manager only. */
  open(nodeId: string, request: OpenStream, signal: AbortSignal): Promise<TaskStream> {
    const { ids, clock, attachMs, maxPerNode, ask } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(cancelled());
        return;
      }
      if (this.#countOf(nodeId) >= maxPerNode) {
        reject(
          new ShoalError('resource_exhausted', `node ${nodeId} serves ${maxPerNode} streams of logs and exec already; end some of them`),
        );
        return;
      }
      const streamId = ids.next();
      const settle = (): void => {
        this.#pending.delete(streamId);
        pending.timer.cancel();
        signal.removeEventListener('abort', onAbort);
      };
      const pending: Pending = {
        nodeId,
        timer: clock.after(attachMs, () => {
          pending.failed(new ShoalError('unavailable', `the agent of node ${nodeId} did not open the stream within ${attachMs / 1000} s`));
        }),
        attached: (stream) => {
          settle();
          resolve(stream);
        },
        failed: (error) => {
          settle();
          reject(error);
        },
      };
      const onAbort = (): void => {
        pending.failed(cancelled());
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(streamId, pending);
      const asked = ask(nodeId, { streamId, request: request.request });
      if (asked === undefined) pending.failed(new ShoalError('unavailable', `node ${nodeId} has no session with this manager; try again`));
      else if (!asked)
        pending.failed(new ShoalError('unavailable', `the agent of node ${nodeId} does not take anything at present; try again`));
    });
  }

  /** The handler of the agent's call. */
  accept(call: AttachCall): void {
    const { clock, log, attachMs } = this.#options;
    const refuse = (error: ShoalError): void => {
      timer.cancel();
      this.#warn('a task stream was refused', { peer: call.getPeer(), code: error.code, reason: error.message });
      failCall(call, error, PATH, log);
    };
    const timer = clock.after(attachMs, () => {
      refuse(new ShoalError('invalid_argument', `no attach within ${attachMs / 1000} s`));
    });
    call.once('cancelled', () => {
      timer.cancel();
    });
    call.once('data', (first: TaskStreamUp) => {
      timer.cancel();
      call.pause();
      if (first.frame?.case !== 'attach') {
        refuse(new ShoalError('invalid_argument', 'the first frame of a task stream must be attach'));
        return;
      }
      const { streamId, nodeId } = first.frame.value;
      const pending = this.#pending.get(streamId);
      if (pending?.nodeId !== nodeId) {
        refuse(new ShoalError('not_found', 'nobody waits for this stream (any longer)'));
        return;
      }
      this.#join(call, pending);
    });
  }

  /** The node has no session here any longer: nobody will attach. */
  dropNode(nodeId: string): void {
    for (const pending of [...this.#pending.values()]) {
      if (pending.nodeId === nodeId) pending.failed(new ShoalError('unavailable', `the session of node ${nodeId} ended; try again`));
    }
  }

  stop(): void {
    for (const pending of [...this.#pending.values()])
      pending.failed(new ShoalError('unavailable', 'this manager is stopping; ask another'));
    for (const stream of [...this.#open.keys()]) stream.close();
  }

  #join(call: AttachCall, pending: Pending): void {
    const { nodeId } = pending;
    const stream = frameStream<TaskStreamUp, TaskStreamDown>({
      call,
      unwrap: (frame) => (frame.frame?.case === 'attach' ? undefined : frame),
      wrap: (frame) => frame,
      gone: (cause) => new ShoalError('unavailable', `the agent of node ${nodeId} went away in the middle of the stream`, { cause }),
      hangUp: () => {
        call.end();
        // Whatever still comes is read and dropped, so that the call can end.
        call.resume();
      },
      onClosed: () => {
        this.#open.delete(stream);
        this.#options.onCount(this.#open.size);
      },
    });
    this.#open.set(stream, nodeId);
    this.#options.onCount(this.#open.size);
    call.write({ frame: { case: 'accepted', value: {} } });
    call.resume();
    pending.attached(stream);
  }

  #countOf(nodeId: string): number {
    let count = 0;
    for (const open of this.#open.values()) if (open === nodeId) count++;
    for (const pending of this.#pending.values()) if (pending.nodeId === nodeId) count++;
    return count;
  }
}

function cancelled(): ShoalError {
  return new ShoalError('cancelled', 'cancelled');
}
