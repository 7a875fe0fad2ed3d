// Holds sends back until the state is whole: rows of this process's own commits are in before what other managers committed earlier, and a
// revision may only name a state that has everything up to it.
import type { Revision } from '../store/store.ts';

export class RevisionGate {
  readonly #waiting = new Map<object, { readonly revision: Revision; readonly call: () => void }>();

  /** Calls once the state has reached `revision`. One wait per owner: a later one replaces it. */
  wait(owner: object, revision: Revision, call: () => void): void {
    this.#waiting.set(owner, { revision, call });
  }

  forget(owner: object): void {
    this.#waiting.delete(owner);
  }

  /** To be called whenever the state has moved on. */
  advanced(revision: Revision): void {
    for (const [owner, waiter] of this.#waiting) {
      if (waiter.revision > revision) continue;
      this.#waiting.delete(owner);
      waiter.call();
    }
  }
}
