// Asks for the complete assignments or route table after a gap: once, and again only when no answer came for a while.
import type { Clock, Timer } from '../../lib/clock.ts';

export type ResyncSubject = 'assignments' | 'routes';

export interface ResyncAsker {
  ask(what: ResyncSubject): void;
  /** The complete one has come. */
  answered(what: ResyncSubject): void;
  /** A new session: nothing is asked any more. */
  reset(): void;
}

/** A manager that is still loading its state takes its time; asking more often would not help it. */
const AGAIN_MS = 5000;

export function resyncAsker(clock: Clock, send: (what: { readonly [K in ResyncSubject]?: boolean }) => void): ResyncAsker {
  const asked = new Map<ResyncSubject, Timer>();
  const answered = (what: ResyncSubject): void => {
    asked.get(what)?.cancel();
    asked.delete(what);
  };
  const ask = (what: ResyncSubject): void => {
    if (asked.has(what)) return;
    send({ [what]: true });
    const again = (): void => {
      asked.delete(what);
      ask(what);
    };
    asked.set(what, clock.after(AGAIN_MS, again, true));
  };
  return {
    ask,
    answered,
    reset() {
      for (const what of [...asked.keys()]) answered(what);
    },
  };
}
