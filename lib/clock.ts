// Time, passed in wherever it is needed. `nowMs` is monotonic and serves every timeout and lease; `wallMs` is for display only.
import { ShoalError } from './errors.ts';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds; only differences mean anything, and only within this process. */
  nowMs(): number;
  /** Unix milliseconds. */
  wallMs(): number;
  /** Calls once after `delayMs`; does not keep the process alive by itself when `background` is set. */
  after(delayMs: number, call: () => void, background?: boolean): Timer;
}

/** Longest delay of setTimeout; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, call, background = false) {
    const timer = setTimeout(call, Math.min(Math.max(0, delayMs), MAX_DELAY_MS));
    if (background) timer.unref();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
};

/** Resolves after `delayMs`; rejects with the code `cancelled` when the signal aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(cancelled(signal));
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(cancelled(signal));
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Runs `work` with a signal that aborts after `deadlineMs` or with `signal`.
 * Rejects with `deadline_exceeded` naming `what` as soon as the time is over, whether or not `work` reacts to its signal.
 */
export async function withDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  let settle: (error: ShoalError) => void = () => undefined;
  const ended = new Promise<never>((_resolve, reject) => {
    settle = reject;
  });
  const end = (error: ShoalError): void => {
    settle(error);
    controller.abort(error);
  };
  const onAbort = (): void => {
    end(cancelled(signal));
  };
  if (signal?.aborted) throw cancelled(signal);
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = clock.after(deadlineMs, () => {
    end(new ShoalError('deadline_exceeded', `${what} took longer than ${String(deadlineMs / 1000)} s`));
  });
  try {
    return await Promise.race([work(controller.signal), ended]);
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', onAbort);
  }
}

function cancelled(signal: AbortSignal | undefined): ShoalError {
  const reason: unknown = signal?.reason;
  return reason instanceof ShoalError ? reason : new ShoalError('cancelled', 'cancelled', { cause: reason });
}
