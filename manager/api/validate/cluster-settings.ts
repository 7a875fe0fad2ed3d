// What users may set for the whole cluster, and within which bounds.
import type { FieldProblem } from '../../../lib/errors.ts';
import type { ClusterSettings } from '../../../proto/index.ts';

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly unit: string;
}

const HOUR_MS = 3_600_000;

const BOUNDS: { readonly [Field in keyof ClusterSettings]: Bounds } = {
  taskHistoryLimit: { min: 0, max: 100, unit: 'tasks' },
  specHistoryLimit: { min: 0, max: 100, unit: 'specs' },
  heartbeatPeriodMs: { min: 100, max: 60_000, unit: 'ms' },
  nodeDownAfterMs: { min: 500, max: HOUR_MS, unit: 'ms' },
  evictionDelayMs: { min: 0, max: 24 * HOUR_MS, unit: 'ms' },
  massLossPercent: { min: 1, max: 100, unit: '%' },
  massLossHoldMs: { min: 0, max: 24 * HOUR_MS, unit: 'ms' },
  preemptionGap: { min: 0, max: 2_000_000, unit: 'steps of priority' },
};

const DEFAULT_HEARTBEAT_MS = 1000;
const DEFAULT_DOWN_MS = 5000;

export function clusterSettingsProblems(settings: ClusterSettings): FieldProblem[] {
  const problems: FieldProblem[] = [];
  for (const [field, { min, max, unit }] of Object.entries(BOUNDS) as [keyof ClusterSettings, Bounds][]) {
    const value = settings[field];
    if (value !== undefined && (value < min || value > max))
      problems.push({ path: field, message: `${value} ${unit} is not between ${min} and ${max} ${unit}` });
  }
  const heartbeatMs = settings.heartbeatPeriodMs ?? DEFAULT_HEARTBEAT_MS;
  const downMs = settings.nodeDownAfterMs ?? DEFAULT_DOWN_MS;
  if (downMs < 3 * heartbeatMs)
    problems.push({
      path: 'nodeDownAfterMs',
      message: `${downMs} ms is less than three heartbeat periods of ${heartbeatMs} ms: one late heartbeat would cost a node`,
    });
  return problems;
}
