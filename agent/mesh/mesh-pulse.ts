// Asks a mesh for a sign of life at a fixed pace: one that hangs keeps its socket open, so that nothing else would tell.
import type { Clock, Timer } from '../../lib/clock.ts';
import { liveness } from '../session/liveness.ts';

export interface MeshPulse {
  answered(sequence: number): void;
  stop(): void;
}

const PING_EVERY_MS = 1000;
/**
 * As long as a manager waits for an acknowledgement. Ending a mesh that is only slow cuts every connection that it carries; so it is given more time
 * than any pause that load makes. Stalls of the agent itself do not count (liveness.ts).
 */
export const MESH_SILENCE_MS = 5000;

/** Calls `onSilent` once, when no ping was answered for MESH_SILENCE_MS. */
export function startMeshPulse(ping: (sequence: number) => void, clock: Clock, onSilent: () => void): MeshPulse {
  const alive = liveness(MESH_SILENCE_MS, PING_EVERY_MS);
  let sequence = 0;
  let timer: Timer;
  const beat = (): void => {
    if (alive.silent(clock.nowMs())) {
      onSilent();
      return;
    }
    alive.sent(++sequence, clock.nowMs());
    ping(sequence);
    timer = clock.after(PING_EVERY_MS, beat, true);
  };
  timer = clock.after(PING_EVERY_MS, beat, true);
  return {
    answered(answer) {
      alive.answered(answer, clock.nowMs());
    },
    stop() {
      timer.cancel();
    },
  };
}
