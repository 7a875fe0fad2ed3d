// Whether the manager still answers: pure, on the monotonic clock. A stall of this process is not taken for the manager's silence.

export interface Liveness {
  /** A heartbeat went out. */
  sent(sequence: number, nowMs: number): void;
  answered(sequence: number, nowMs: number): void;
  /** Called about every `tickMs`; true while no answer came for `silenceMs`, stalls of this process not counted. */
  silent(nowMs: number): boolean;
}

/** A tick later than this past its due time is a stall: nobody is judged in it. */
const STALL_MS = 250;

export function liveness(silenceMs: number, tickMs: number): Liveness {
  /** Sequence and time of the oldest heartbeat without an answer; a later answer covers earlier heartbeats. */
  let waitingSince: { readonly sequence: number; atMs: number } | undefined;
  let lastTickMs: number | undefined;
  return {
    sent(sequence, nowMs) {
      waitingSince ??= { sequence, atMs: nowMs };
    },
    answered(sequence) {
      if (waitingSince !== undefined && sequence >= waitingSince.sequence) waitingSince = undefined;
    },
    silent(nowMs) {
      const lateMs = lastTickMs === undefined ? 0 : nowMs - lastTickMs - tickMs;
      lastTickMs = nowMs;
      if (waitingSince === undefined) return false;
      if (lateMs > STALL_MS) {
        waitingSince.atMs += lateMs;
        return false;
      }
      return nowMs - waitingSince.atMs >= silenceMs;
    },
  };
}
