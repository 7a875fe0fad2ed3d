export { eventsOf } from './expand.ts';
export { ChangeRecord } from './record.ts';
