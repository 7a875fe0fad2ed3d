export type { BalanceSource, FirstSeen, Plan, PlannedDelete, PlannedPut, PlannedWrite, ReconcileContext, WriteGroup } from './plan.ts';
export { sweep } from './reap.ts';
export { reconcileService } from './reconcile.ts';
