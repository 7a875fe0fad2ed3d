// One watch on one member: responses one at a time, at the reader's pace, and an error when the member goes mute.
import type { IEvent, IWatchResponse } from 'etcd3/lib/rpc.js';
import type { Clock, Timer } from '../../../lib/clock.ts';
import type { Rng } from '../../../lib/rng.ts';
import type { Revision } from '../store.ts';
import type { Endpoint } from './endpoint.ts';
import { rangeEnd } from './keys.ts';

export interface WatchResponse {
  readonly events: readonly IEvent[];
  /** The last revision among the events may go on in the next response. */
  readonly fragment: boolean;
  /** An answer to our question whether the member is there. */
  readonly idle: boolean;
  readonly headerRevision: Revision;
  readonly compactedRevision: Revision | undefined;
}

export interface WatchStream {
  /** Undefined: the signal aborted. Rejects when the stream broke or went mute. Responses that came before that are handed out first. */
  next(): Promise<WatchResponse | undefined>;
  close(): void;
}

export interface WatchStreamOptions {
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Everything below is watched. */
  readonly keys: Buffer;
  readonly startRevision: Revision;
  readonly signal: AbortSignal;
}

/** After so long without a response the member is asked for one. Each time is varied by up to a quarter. */
const IDLE_MS = 3000;
const ANSWER_MS = 2000;
/** Responses that wait for the reader; each holds up to 1.5 MiB. */
const MAX_BUFFERED = 16;

export async function openWatchStream(options: WatchStreamOptions): Promise<WatchStream> {
  const { endpoint, clock, rng, signal } = options;
  const stream = await endpoint.openWatch({ timeoutMs: ANSWER_MS, signal });
  const responses: WatchResponse[] = [];
  let error: Error | undefined;
  let ended = false;
  let paused = false;
  let created = false;
  let timer: Timer | undefined;
  let wake: () => void = () => undefined;

  const end = (why?: Error): void => {
    if (ended) return;
    ended = true;
    error = why;
    if (why !== undefined) endpoint.note(why.message);
    timer?.cancel();
    signal.removeEventListener('abort', onAbort);
    stream.cancel();
    wake();
  };
  const onAbort = (): void => {
    responses.length = 0;
    end();
  };
  const mute = (): void => {
    endpoint.reset('Watch');
    end(new Error(`no response within ${ANSWER_MS / 1000} s`));
  };
  const ask = (): void => {
    if (paused) return;
    stream.write({ progress_request: {} });
    timer = clock.after(ANSWER_MS, mute);
  };
  const expect = (): void => {
    timer?.cancel();
    timer = clock.after(IDLE_MS * (0.75 + rng.next() / 2), ask);
  };

  const onResponse = (response: IWatchResponse): void => {
    if (ended) return;
    const compactedRevision = Number(response.compact_revision);
    if (response.canceled && compactedRevision === 0) {
      end(new Error(`etcd ended the watch: ${response.cancel_reason}`));
      return;
    }
    expect();
    // The answer to a progress request names no watch, and has no events.
    const idle = created && !response.created && response.events.length === 0;
    created = true;
    if (response.created && !response.canceled) return;
    responses.push({
      events: response.events,
      fragment: response.fragment,
      idle,
      headerRevision: Number(response.header.revision),
      compactedRevision: response.canceled ? compactedRevision : undefined,
    });
    if (responses.length >= MAX_BUFFERED) {
      paused = true;
      timer?.cancel();
      stream.pause();
    }
    wake();
  };

  stream.on('error', (problem) => {
    end(problem);
  });
  stream.on('end', () => {
    end(new Error('etcd ended the stream'));
  });
  stream.on('data', onResponse);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else {
    timer = clock.after(ANSWER_MS, mute);
    const { keys, startRevision } = options;
    stream.write({ create_request: { key: keys, range_end: rangeEnd(keys), start_revision: startRevision, fragment: true } });
  }

  return {
    async next() {
      for (;;) {
        const response = responses.shift();
        if (response !== undefined) {
          if (paused && responses.length === 0 && !ended) {
            paused = false;
            stream.resume();
            expect();
          }
          return response;
        }
        if (ended) {
          if (error !== undefined) throw error;
          return undefined;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => {
      end();
    },
  };
}
