// Writes a spec under the next number, with the ports that it takes and gives up.
import { FailureAction, type PortSpec, type Service, type ServiceSpec, StoredSpec } from '../../../proto/index.ts';
import { activeSpecOf, type Row, specId, specOf, type StateView, type TransactionBuilder } from '../../state/index.ts';
import { keptSpecs } from './history.ts';
import { claimPorts } from './ports.ts';

export interface NewSpec {
  readonly builder: TransactionBuilder;
  readonly state: StateView;
  /** As it is now. */
  readonly row: Row<Service>;
  /** With its published ports filled in. */
  readonly spec: ServiceSpec;
  /** 0: an update. */
  readonly rollbackTo: number;
  readonly nowUnixMs: number;
}

/** Returns its number. Throws `conflict` where others hold a port. */
export function putSpec({ builder, state, row, spec, rollbackTo, nowUnixMs }: NewSpec): number {
  const number = row.value.specNumber + 1;
  builder.put('services', row.id, { ...row.value, labels: spec.labels, specNumber: number, updatedUnixMs: nowUnixMs }, row);
  builder.put(
    'specs',
    specId(row.id, number),
    StoredSpec.create({ serviceId: row.id, number, spec, createdUnixMs: nowUnixMs, rollbackTo }),
    undefined,
  );
  const mayTurn = rollbackTo === 0 && spec.update?.failureAction === FailureAction.FAILURE_ROLLBACK;
  claimPorts(builder, state, row.id, spec.ports, claimedPorts(state, row.id), mayTurn ? fallbackPorts(state, row.id) : []);
  return number;
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
