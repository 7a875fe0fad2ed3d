// Ends processes in the middle of what they do.
import type { Seam, SimProcess } from '../core/process.ts';

/** Ends a process at a call that it is about to make, or has just made. */
export class Traps {
  readonly #set = new Map<string, { readonly seam: Seam | undefined; left: number; readonly sprung: (step: string) => void }>();

  arm(name: string, seam: Seam | undefined, calls: number, sprung: (step: string) => void): void {
    this.#set.set(name, { seam, left: calls, sprung });
  }

  disarm(name: string): boolean {
    return this.#set.delete(name);
  }

  atPoint(process: SimProcess, seam: Seam, step: string): void {
    const trap = this.#set.get(process.name);
    if (trap === undefined || (trap.seam !== undefined && trap.seam !== seam)) return;
    if (--trap.left > 0) return;
    this.#set.delete(process.name);
    trap.sprung(step);
    process.kill(`crash at ${seam}: ${step}`);
  }
}
