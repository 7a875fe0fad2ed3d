// When new clients of a service wait though it may have replicas: while a user has paused it; and by itself while its only ones are replaced stop-first,
// from the first one's drain until the next one is ready. Pure.
import {
  IngressSettings,
  PortProtocol,
  type PortSpec,
  type RouteTarget,
  type Service,
  type ServiceSpec,
  TargetState,
  TaskState,
} from '../../proto/index.ts';
import { drainPeriodOf, isPaused, type StateView } from '../state/index.ts';

const DEFAULT_GRACE_MS = 10_000;
/** Beyond the drain and the stop of the old task: for the next one to start and to get ready. */
const START_MS = 40_000;
/** The pause ends first, and then they are served. */
const MARGIN_MS = 5000;

/** How long clients of a port with these targets may have to wait; 0: it is not paused. */
export function pauseMs(state: StateView, service: Service, spec: ServiceSpec, targets: readonly RouteTarget[]): number {
  const { pause } = service;
  if (pause !== undefined && isPaused(service, state.get('serviceStatus', service.id)?.value)) return pause.maxMs + MARGIN_MS;
  if (targets.some((target) => target.state === TargetState.TARGET_ACTIVE) || !isHandedOver(state, service.id)) return 0;
  return drainPeriodOf(spec) + (spec.task?.container?.stopGracePeriodMs ?? DEFAULT_GRACE_MS) + START_MS;
}

/** What the port says itself stands. UDP clients are not held. */
export function withHold({ ingress, protocol }: PortSpec, holdMs: number): IngressSettings | undefined {
  return protocol === PortProtocol.UDP || ingress?.holdMs !== undefined ? ingress : IngressSettings.create({ ...ingress, holdMs });
}

/** A task is on its way for which another was stopped: what is stopped on purpose, unlike what failed, is about to be back. */
function isHandedOver(state: StateView, serviceId: string): boolean {
  for (const { id, value } of state.tasksOfService(serviceId)) {
    const hasEnded = (state.get('taskStatus', id)?.value.state ?? TaskState.NEW) >= TaskState.COMPLETE;
    if (value.awaited && value.desired <= TaskState.RUNNING && !hasEnded) return true;
  }
  return false;
}
