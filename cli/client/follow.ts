// Follows a stream of a manager until what is waited for has come; another manager takes over where that one goes away.
import type { ClientReadableStream } from '@grpc/grpc-js';
import { backoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { CallOptions } from '../../lib/rpc/index.ts';
import type { Shell } from '../shell.ts';
import type { Control, ControlClient } from './control.ts';
import { messages } from './stream.ts';

export interface Follow<T> {
  readonly open: (client: ControlClient, options: CallOptions) => ClientReadableStream<T>;
  /** True: that was it. What it throws ends the wait. */
  readonly isOver: (message: T) => boolean;
  /** What is followed, for the error after which nobody is asked again: "the managers do not say how web is doing". */
  readonly silence: string;
}

/** How a wait may end from outside: Ctrl-C, or its time is over. */
export interface WaitEnds {
  readonly interrupted: () => ShoalError;
  readonly timedOut: (timeoutMs: number) => ShoalError;
  readonly timeoutMs: number | undefined;
}

/** Failures of the stream in a row, with nothing heard in between. */
const MAX_FAILURES = 10;
const RETRY = { baseMs: 250, capMs: 3000 };

/** Rejects with what `isOver` throws, what `ends` makes, or `unavailable` where no manager answers for long. */
export async function followUntil<T>(shell: Shell, control: Control, follow: Follow<T>, ends: WaitEnds): Promise<void> {
  const { interrupted, timedOut, timeoutMs } = ends;
  const interrupt = shell.interrupt();
  const ended = new AbortController();
  const onInterrupt = (): void => {
    ended.abort(interrupted());
  };
  interrupt.addEventListener('abort', onInterrupt, { once: true });
  const timer = timeoutMs === undefined ? undefined : shell.clock.after(timeoutMs, () => ended.abort(timedOut(timeoutMs)));
  try {
    if (interrupt.aborted) onInterrupt();
    await followOn(shell, control, follow, ended.signal);
  } finally {
    timer?.cancel();
    interrupt.removeEventListener('abort', onInterrupt);
  }
}

async function followOn<T>(shell: Shell, control: Control, { open, isOver, silence }: Follow<T>, signal: AbortSignal): Promise<void> {
  const delays = backoff(RETRY, shell.rng);
  for (let failures = 0; failures < MAX_FAILURES; failures++) {
    try {
      const { client, target, options } = await control.streaming();
      for await (const message of messages(open(client, { ...options, signal }), target)) {
        failures = 0;
        delays.reset();
        if (isOver(message)) return;
      }
    } catch (thrown) {
      const error = ShoalError.from(thrown);
      if (signal.aborted) throw signal.reason;
      if (error.code !== 'unavailable' && error.code !== 'outcome_unknown') throw error;
    }
    await sleep(shell.clock, delays.nextMs(), signal);
  }
  throw new ShoalError('unavailable', silence);
}
