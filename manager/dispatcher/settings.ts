// The dispatcher's times and bounds. Heartbeat period and down time are the cluster's own settings, not these.
import type { ClusterSettings } from '../../proto/index.ts';
import type { WindowBounds } from '../../lib/adaptive-window.ts';

export interface DispatcherSettings {
  /** From the start of a stream to its first message. */
  readonly firstMessageMs: number;
  /** How long a session waits for this manager's state to reach what the agent has applied. */
  readonly catchUpMs: number;
  /** From OpenStream to the agent's attach. */
  readonly attachMs: number;
  /** A mesh that has not acknowledged by then is restarted by its agent, and counts as not up. */
  readonly meshAckMs: number;
  /** Between two restarts of one mesh. */
  readonly meshRestartMs: number;
  /** An agent that takes nothing for this long loses its stream. */
  readonly sendStallMs: number;
  /** Judging the silent; also the grain of "5 s after the last heartbeat". */
  readonly tickMs: number;
  readonly assignmentWindow: WindowBounds;
  readonly routeWindow: WindowBounds;
  readonly writeWindow: WindowBounds;
  readonly ackWindow: WindowBounds;
  /** Kept that long after the last drain, so that an update's pauses do not make it come and go. */
  readonly ackRowLingerMs: number;
  readonly maxSessions: number;
  /** Streams without a Register yet. */
  readonly maxSilent: number;
  /** Messages of one agent; what comes faster is left in its socket. */
  readonly inboundPerSecond: number;
  readonly inboundBurst: number;
  readonly maxStreamsPerNode: number;
  /** Connections to other managers without a stream are closed after this. */
  readonly peerIdleMs: number;
}

export const DEFAULT_SETTINGS: DispatcherSettings = {
  firstMessageMs: 5000,
  catchUpMs: 5000,
  attachMs: 5000,
  meshAckMs: 5000,
  meshRestartMs: 15_000,
  sendStallMs: 15_000,
  tickMs: 200,
  assignmentWindow: { shortMs: 10, longMs: 25 },
  routeWindow: { shortMs: 10, longMs: 25 },
  writeWindow: { shortMs: 5, longMs: 20 },
  ackWindow: { shortMs: 10, longMs: 20 },
  ackRowLingerMs: 2000,
  maxSessions: 10_000,
  maxSilent: 1000,
  inboundPerSecond: 300,
  inboundBurst: 1000,
  maxStreamsPerNode: 64,
  peerIdleMs: 60_000,
};

/** What goes to every node, or is written of every node, costs about 0.05 ms each with its answer: it takes no more than about half of the time. */
const WINDOW_MS_PER_SESSION = 0.1;
/** Of the second within which no connection goes to a task that has ended. */
const MAX_FAN_OUT_WINDOW_MS = 250;

/** Wider the more sessions there are at that moment; a lone change goes at once all the same. */
export function fanOutWindow({ shortMs, longMs }: WindowBounds, sessions: () => number): WindowBounds {
  return {
    shortMs,
    get longMs() {
      return Math.max(longMs, Math.min(MAX_FAN_OUT_WINDOW_MS, sessions() * WINDOW_MS_PER_SESSION));
    },
  };
}

/** A stall of the event loop: later than this past its time. */
export const STALL_MS = 100;

export function heartbeatPeriodMs(settings: ClusterSettings | undefined): number {
  return settings?.heartbeatPeriodMs ?? 1000;
}

export function nodeDownAfterMs(settings: ClusterSettings | undefined): number {
  return settings?.nodeDownAfterMs ?? 5000;
}
