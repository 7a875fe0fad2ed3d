// One signal for several reasons to end.

/**
 * Aborts with the first of them, and lets go of the others then. `AbortSignal.any` would be kept by Node for as long as anybody listens to it, whether or not
 * one of its sources can still abort, and leaves a trace of itself in each source. This one listens on every source until one aborts: whoever makes it with a
 * source that outlives the work aborts another of them when the work is over.
 */
export function anySignal(signals: readonly AbortSignal[]): AbortSignal {
  const controller = new AbortController();
  const end = (reason: unknown): void => {
    for (const [signal, onAbort] of listening) signal.removeEventListener('abort', onAbort);
    listening.clear();
    controller.abort(reason);
  };
  const listening = new Map<AbortSignal, () => void>();
  const aborted = signals.find((signal) => signal.aborted);
  if (aborted !== undefined) {
    end(aborted.reason);
    return controller.signal;
  }
  for (const signal of signals) {
    const onAbort = (): void => {
      end(signal.reason);
    };
    listening.set(signal, onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
  }
  return controller.signal;
}
