// One look at one service: what all its rules read, and what they leave behind besides writes.
import { type Cluster, type Service, ServiceMode, type ServiceSpec, type UpdateConfig } from '../../proto/index.ts';
import { drainPeriodOf, type StateView } from '../state/index.ts';
import { type MeshAcks, readAcks } from './drain.ts';
import type { ReconcileContext } from './plan.ts';
import type { Rollout } from './rollout.ts';
import { DEFAULT_PROGRESS_DEADLINE_MS, taskDigest } from './spec-rules.ts';
import type { TaskInfo } from './task-info.ts';

/** `updating`: the update limits and the monitor apply. `paused`: nothing moves; what ends is replaced by its own spec. */
export type UpdatePhase = 'steady' | 'updating' | 'paused';

export class Pass {
  readonly view: StateView;
  readonly context: ReconcileContext;
  readonly service: Service;
  readonly spec: ServiceSpec;
  readonly specNumber: number;
  /** How it is rolled out: the update's settings, or the rollback's. */
  readonly config: UpdateConfig;
  readonly rollout: Rollout;
  readonly historyLimit: number;
  /** Earlier specs that are kept. */
  readonly specHistoryLimit: number;
  readonly isGlobal: boolean;
  phase: UpdatePhase = 'steady';
  /** The update has failed and is rolled back from the next pass on: what failed is not replaced any more. */
  isTurning = false;
  /** Nodes whose mesh is late with an acknowledgement. */
  readonly lateMeshes = new Set<string>();
  #acks: MeshAcks | undefined;
  #wakeInMs: number | undefined;

  constructor(view: StateView, context: ReconcileContext, service: Service, rollout: Rollout) {
    const cluster: Cluster | undefined = view.get('cluster', '')?.value;
    this.view = view;
    this.context = context;
    this.service = service;
    this.rollout = rollout;
    this.spec = rollout.spec;
    this.specNumber = rollout.specNumber;
    this.config = rollout.config;
    this.isGlobal = rollout.spec.mode === ServiceMode.GLOBAL;
    this.historyLimit = cluster?.settings?.taskHistoryLimit ?? 5;
    this.specHistoryLimit = specHistoryLimit(cluster, rollout.spec);
  }

  get serviceId(): string {
    return this.service.id;
  }

  get wakeInMs(): number | undefined {
    return this.#wakeInMs;
  }

  /** Look again after that long at the latest. */
  wakeIn(ms: number): void {
    this.#wakeInMs = Math.min(this.#wakeInMs ?? ms, Math.max(0, ms));
  }

  /** Read only where something drains. */
  get acks(): MeshAcks {
    return (this.#acks ??= readAcks(this.view));
  }

  get drainPeriodMs(): number {
    return drainPeriodOf(this.spec);
  }

  /** It runs what the active spec says, under whatever number it was made. */
  isClean(info: TaskInfo): boolean {
    if (info.task.specNumber === this.specNumber) return true;
    return info.spec !== undefined && taskDigest(info.spec) === taskDigest(this.spec);
  }

  /** Made by the roll-out under way, not before it. */
  isNew(info: TaskInfo): boolean {
    const { task, row } = info;
    // Scaled meanwhile, it has another number.
    if (this.rollout.isTrial) return this.isClean(info);
    if (task.specNumber !== this.specNumber) return false;
    return !this.rollout.isAutomatic || row.createRevision > (this.rollout.status?.modRevision ?? 0);
  }

  /** Up for the monitor period, as far as this leader has seen. */
  hasProved(info: TaskInfo): boolean {
    const upMs = info.isUp ? this.notedUpMs(info) : undefined;
    return upMs !== undefined && upMs >= this.config.monitorMs;
  }

  /** 0: none. */
  get progressDeadlineMs(): number {
    return this.config.progressDeadlineMs ?? DEFAULT_PROGRESS_DEADLINE_MS;
  }

  /** Milliseconds since this leader first saw `key`. */
  sinceMs(key: string): number {
    return this.context.nowMs - this.context.seen.sinceMs(this.serviceId, key);
  }

  /** How long the task has been up, where that was noted; undefined: it was not, or it never was. */
  notedUpMs(info: TaskInfo): number | undefined {
    const key = `up:${info.row.id}`;
    return this.context.seen.has(this.serviceId, key) ? this.sinceMs(key) : undefined;
  }
}

const DEFAULT_SPEC_HISTORY_LIMIT = 5;

/** Earlier specs that are kept of a service, the newest not counted. */
export function specHistoryLimit(cluster: Cluster | undefined, spec: ServiceSpec | undefined): number {
  return spec?.specHistoryLimit ?? cluster?.settings?.specHistoryLimit ?? DEFAULT_SPEC_HISTORY_LIMIT;
}
