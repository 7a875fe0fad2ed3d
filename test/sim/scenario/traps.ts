// Ends processes in the middle of what they do, or has something else happen there.
import type { Seam, SimProcess } from '../core/process.ts';

export class Traps {
  readonly #set = new Map<string, { readonly seam: Seam | undefined; left: number; readonly sprung: (step: string) => void }>();

  readonly #tripwires = new Map<string, { readonly step: string; readonly call: () => void }>();

  /** Ends the process at a call that it is about to make, or has just made. */
  arm(name: string, seam: Seam | undefined, calls: number, sprung: (step: string) => void): void {
    this.#set.set(name, { seam, left: calls, sprung });
  }

  disarm(name: string): boolean {
    return this.#set.delete(name);
  }

  /** Calls once the process is about to do that; returns what has it happen at once, if it has not yet. */
  trip(name: string, step: string, call: () => void): () => void {
    const wire = { step, call };
    this.#tripwires.set(name, wire);
    return () => {
      if (this.#tripwires.get(name) !== wire) return;
      this.#tripwires.delete(name);
      call();
    };
  }

  atPoint(process: SimProcess, seam: Seam, step: string): void {
    const wire = this.#tripwires.get(process.name);
    if (wire?.step === step) {
      this.#tripwires.delete(process.name);
      wire.call();
    }
    const trap = this.#set.get(process.name);
    if (trap === undefined || (trap.seam !== undefined && trap.seam !== seam)) return;
    if (--trap.left > 0) return;
    this.#set.delete(process.name);
    trap.sprung(step);
    process.kill(`crash at ${seam}: ${step}`);
  }
}
