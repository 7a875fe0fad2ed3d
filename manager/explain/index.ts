export { canaryProblem } from './canary-fit.ts';
export { displacedTasks } from './displaced-tasks.ts';
export { explainService } from './explain-service.ts';
export { KeptInventory } from './kept-inventory.ts';
export { plannedTasks, type TaskOutcome } from './planned-tasks.ts';
export { Rehearsal } from './rehearsal.ts';
export type { ScratchWrite } from './scratch-state.ts';
