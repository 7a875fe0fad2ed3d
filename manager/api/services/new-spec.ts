// Writes a spec under the next number, or one and another that is tried beside it, with the ports that they take and give up.
import { type Canary, FailureAction, type PortSpec, type Service, type ServiceSpec, StoredSpec } from '../../../proto/index.ts';
import { activeSpecOf, type Row, specId, specOf, type StateView, type TransactionBuilder } from '../../state/index.ts';
import { keptSpecs } from './history.ts';
import { claimPorts } from './ports.ts';

export interface NewSpecs {
  readonly builder: TransactionBuilder;
  readonly state: StateView;
  /** As it is now. */
  readonly row: Row<Service>;
  /** In the order of their numbers, with their published ports filled in; none: only what is said of the canary changes. */
  readonly specs: readonly ServiceSpec[];
  /** Of the last one; undefined: it is to be rolled out. */
  readonly canary: Canary | undefined;
  /** 0: an update. */
  readonly rollbackTo: number;
  readonly nowUnixMs: number;
}

/** Returns the number of the newest. Throws `conflict` where others hold a port. */
export function putSpecs({ builder, state, row, specs, canary, rollbackTo, nowUnixMs }: NewSpecs): number {
  const specNumber = row.value.specNumber + specs.length;
  const spec = specs.at(-1);
  const labels = spec?.labels ?? row.value.labels;
  builder.put('services', row.id, { ...row.value, labels, canary, specNumber, updatedUnixMs: nowUnixMs }, row);
  specs.forEach((each, index) => {
    const number = row.value.specNumber + 1 + index;
    const stored = StoredSpec.create({ serviceId: row.id, number, spec: each, createdUnixMs: nowUnixMs, rollbackTo });
    builder.put('specs', specId(row.id, number), stored, undefined);
  });
  if (spec === undefined) return specNumber;
  const mayTurn = canary !== undefined || (rollbackTo === 0 && spec.update?.failureAction === FailureAction.FAILURE_ROLLBACK);
  claimPorts(builder, state, row.id, spec.ports, claimedPorts(state, row.id), mayTurn ? fallbackPorts(state, row.id) : []);
  return specNumber;
}

/** What the leader may go back to by itself must still be the service's own then. */
function fallbackPorts(state: StateView, serviceId: string): readonly PortSpec[] {
  const from = state.get('serviceStatus', serviceId)?.value.update?.fromSpecNumber ?? 0;
  return [...(activeSpecOf(state, serviceId)?.spec.ports ?? []), ...(specOf(state, serviceId, from)?.ports ?? [])];
}

/** All that the service may hold: of no other ports need its claims be looked for. */
export function claimedPorts(state: StateView, serviceId: string): readonly PortSpec[] {
  return keptSpecs(state, serviceId).flatMap(({ spec }) => spec.ports);
}
