// One look at one service: what all its rules read, and what they leave behind besides writes.
import { type Cluster, type Service, ServiceMode, type ServiceSpec, type UpdateConfig } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
import { DEFAULT_DRAIN_PERIOD_MS, type MeshAcks, readAcks } from './drain.ts';
import type { ReconcileContext } from './plan.ts';
import { taskDigest, updateConfigOf } from './spec-rules.ts';
import type { TaskInfo } from './task-info.ts';

/** `updating`: the update limits and the monitor apply. `paused`: nothing moves; what ends is replaced by its own spec. */
export type UpdatePhase = 'steady' | 'updating' | 'paused';

export class Pass {
  readonly view: StateView;
  readonly context: ReconcileContext;
  readonly service: Service;
  readonly spec: ServiceSpec;
  readonly specNumber: number;
  readonly update: UpdateConfig;
  readonly historyLimit: number;
  readonly isGlobal: boolean;
  phase: UpdatePhase = 'steady';
  /** Nodes whose mesh is late with an acknowledgement. */
  readonly lateMeshes = new Set<string>();
  #acks: MeshAcks | undefined;
  #wakeInMs: number | undefined;

  constructor(view: StateView, context: ReconcileContext, service: Service, spec: ServiceSpec) {
    const cluster: Cluster | undefined = view.get('cluster', '')?.value;
    this.view = view;
    this.context = context;
    this.service = service;
    this.spec = spec;
    this.specNumber = service.specNumber;
    this.update = updateConfigOf(spec);
    this.isGlobal = spec.mode === ServiceMode.GLOBAL;
    this.historyLimit = cluster?.settings?.taskHistoryLimit ?? 5;
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
    return this.spec.drainPeriodMs === 0 ? DEFAULT_DRAIN_PERIOD_MS : this.spec.drainPeriodMs;
  }

  /** It runs what the active spec says, under whatever number it was made. */
  isClean(info: TaskInfo): boolean {
    if (info.task.specNumber === this.specNumber) return true;
    return info.spec !== undefined && taskDigest(info.spec) === taskDigest(this.spec);
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
