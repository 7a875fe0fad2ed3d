export { type ChangeListener, ClusterState } from './cluster-state.ts';
export { type FollowerOptions, followStore } from './follower.ts';
export { keyOf, nameId, parseKey, portId, slotId, specId, type TableName } from './keys.ts';
export { hasEvictionOrder, isHeld, QUIET_SHARE } from './node-holds.ts';
export { claimAfter, claimKeeping, isClaimedBy, isPublishedBy, portsByRow, publishersOf, sameClaim } from './port-claims.ts';
export { activeSpecNumber, activeSpecOf, seenSpecNumber, shownSlot, specOf, type StateView } from './state-view.ts';
export type { Change, ChangeOf, Row, TableTypes } from './tables.ts';
export { commitTo, mustCommit, TransactionBuilder } from './transaction.ts';
export { rollbackConfigOf, updateConfigOf } from './update-config.ts';
