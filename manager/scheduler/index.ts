export { demandOf, type HostPort, type TaskDemand } from './demand.ts';
export { Inventory } from './inventory.ts';
export type { Preemption, Tenants } from './preempt.ts';
export { betterPlace, rebalanceMove, type RebalanceMove, type RebalanceRequest } from './rebalance.ts';
export { shapeOf } from './shape.ts';
export { findsPlace, fitsInPlaceOf } from './succession.ts';
export { place, type PlacementRequest, type PlacementResult } from './place.ts';
