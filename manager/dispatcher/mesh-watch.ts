// Whether one node's mesh keeps up with the tables it is sent. Pure; times are those of SteadyTime.
import type { MeshLag } from '../../proto/index.ts';
import type { Revision } from '../store/store.ts';

export interface MeshWatchBounds {
  readonly ackMs: number;
  readonly restartMs: number;
}

export class MeshWatch {
  readonly #bounds: MeshWatchBounds;
  #sent: Revision = 0;
  #acked: Revision = 0;
  /** The oldest table that is waited for. */
  #awaited: { readonly revision: Revision; readonly sinceMs: number } | undefined;
  #downSinceMs: number | undefined;
  #restartedMs = Number.NEGATIVE_INFINITY;

  constructor(bounds: MeshWatchBounds) {
    this.#bounds = bounds;
  }

  sent(revision: Revision, nowMs: number): void {
    this.#sent = revision;
    if (revision > this.#acked) this.#awaited ??= { revision, sinceMs: nowMs };
  }

  /** What the agent reports; `acked` 0: nothing yet. True where the mesh keeps up: it has the table that was waited for. */
  reported(acked: Revision, up: boolean, nowMs: number): boolean {
    if (up) this.#downSinceMs = undefined;
    else this.#downSinceMs ??= nowMs;
    if (acked > this.#acked) this.#acked = acked;
    if (this.#awaited !== undefined && this.#acked >= this.#awaited.revision) {
      this.#awaited = this.#acked < this.#sent ? { revision: this.#sent, sinceMs: nowMs } : undefined;
      return up;
    }
    return up && this.#awaited === undefined && this.#sent > 0;
  }

  /** True when the mesh should be restarted now; then not again for a while. A mesh that is not up is its agent's care already. */
  restartDue(nowMs: number): boolean {
    if (this.#downSinceMs !== undefined || this.#awaited === undefined) return false;
    if (nowMs - this.#awaited.sinceMs < this.#bounds.ackMs || nowMs - this.#restartedMs < this.#bounds.restartMs) return false;
    this.#restartedMs = nowMs;
    return true;
  }

  /** What the mesh owes. */
  lag(nowMs: number): MeshLag {
    return {
      sentRevision: this.#sent,
      waitingMs: this.#awaited === undefined ? 0 : Math.max(1, Math.round(nowMs - this.#awaited.sinceMs)),
    };
  }

  /** Waiting counts from now: a drain began, and before nobody minded. */
  waitFromNow(nowMs: number): void {
    if (this.#awaited !== undefined) this.#awaited = { revision: this.#awaited.revision, sinceMs: nowMs };
  }

  /** The mesh process has been away for so long that this is no restart. */
  isDown(nowMs: number): boolean {
    return this.#downSinceMs !== undefined && nowMs - this.#downSinceMs >= this.#bounds.ackMs;
  }
}
