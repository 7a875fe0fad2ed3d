// The settings of a cluster as flags, in one list: what declares, reads and shows them goes by it.
import type { ClusterSettings } from '../../proto/index.ts';

export interface Setting {
  readonly field: keyof ClusterSettings;
  readonly flag: string;
  readonly kind: 'count' | 'duration';
  readonly value: string;
  readonly help: string;
  /** What holds where it is not set. */
  readonly fallback: number;
}

export const SETTINGS: readonly Setting[] = [
  setting('taskHistoryLimit', 'task-history-limit', 'count', 5, 'ended tasks kept of each slot'),
  setting('specHistoryLimit', 'spec-history-limit', 'count', 5, 'earlier specs kept of each service'),
  setting('heartbeatPeriodMs', 'heartbeat-period', 'duration', 1000, 'time between the heartbeats of an agent'),
  setting('nodeDownAfterMs', 'node-down-after', 'duration', 5000, 'silence after which a node is down'),
  setting('evictionDelayMs', 'eviction-delay', 'duration', 0, 'time from a node down until its tasks are replaced'),
  setting(
    'massLossPercent',
    'mass-loss-percent',
    'count',
    55,
    'share of nodes, lost together, from which their tasks are not replaced at once',
  ),
  setting('massLossHoldMs', 'mass-loss-hold', 'duration', 60_000, 'how long that is held back (0s: never)'),
  setting('preemptionGap', 'preemption-gap', 'count', 0, 'tasks take the place of those whose priority is lower by so much (0: never)'),
];

function setting(field: keyof ClusterSettings, flag: string, kind: Setting['kind'], fallback: number, help: string): Setting {
  const shown = kind === 'count' ? String(fallback) : `${fallback / 1000}s`;
  return { field, flag, kind, value: kind === 'count' ? 'N' : 'DURATION', help: `${help} (default: ${shown})`, fallback };
}
