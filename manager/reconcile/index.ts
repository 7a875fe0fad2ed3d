export type { FirstSeen, Plan, PlannedPut, PlannedWrite, ReconcileContext, WriteGroup } from '../orchestrator/plan.ts';
export { reconcileService } from './service.ts';
export { isFinished, stateOf } from './task-facts.ts';
