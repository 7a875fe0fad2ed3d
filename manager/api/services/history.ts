// The specs of a service that are kept: which there are, what each says, and which of them a rollback goes to.
import { ShoalError } from '../../../lib/errors.ts';
import {
  type Service,
  type ServiceSpec,
  ServiceSpecEntry,
  ServiceSpecList,
  ServiceSpecView,
  type StoredSpec,
} from '../../../proto/index.ts';
import { activeSpecNumber, canaryOf, type Row, type StateView } from '../../state/index.ts';
import { serviceByRef } from '../refs.ts';
import { withoutLogin } from '../spec-secrets.ts';

/** Newest first. Errors: `not_found`. */
export function listServiceSpecs(state: StateView, ref: string): ServiceSpecList {
  const row = serviceByRef(state, ref);
  const entries = keptSpecs(state, row.id).map((stored) => entryOf(state, row, stored));
  return ServiceSpecList.create({ entries, revision: state.revision });
}

/** `number` 0: the one that tasks are brought to. Errors: `not_found`, naming the numbers there are. */
export function getServiceSpec(state: StateView, ref: string, number: number): ServiceSpecView {
  const row = serviceByRef(state, ref);
  const stored = keptSpec(state, row, number === 0 ? activeNumber(state, row) : number);
  return ServiceSpecView.create({ entry: entryOf(state, row, stored), spec: withoutLogin(stored.spec) });
}

export type KeptSpec = StoredSpec & { readonly spec: ServiceSpec };

/** Errors: `not_found`. */
export function keptSpec(state: StateView, row: Row<Service>, number: number): KeptSpec {
  const kept = keptSpecs(state, row.id);
  const stored = kept.find((other) => other.number === number);
  if (stored !== undefined) return stored;
  const numbers = kept.map((other) => other.number).join(', ');
  throw new ShoalError('not_found', `service ${row.value.name} has no spec ${number}: kept are ${numbers}; see \`shoal service history\``);
}

/**
 * Of a canary, the one that it is tried beside; else the one that the last roll-out left, so that what failed and was rolled back in between is passed over; else the newest that is older than the
 * one that tasks are brought to; undefined: there is none.
 */
export function previousSpec(state: StateView, row: Row<Service>): KeptSpec | undefined {
  const active = activeNumber(state, row);
  if (onTrial(state, row) !== undefined) return keptSpecs(state, row.id).find(({ number }) => number === active);
  const older = keptSpecs(state, row.id).filter(({ number }) => number < active);
  const update = state.get('serviceStatus', row.id)?.value.update;
  const left = update?.specNumber === row.value.specNumber ? update.fromSpecNumber : 0;
  return older.find(({ number }) => number === left) ?? older[0];
}

/** Newest first. */
export function keptSpecs(state: StateView, serviceId: string): readonly KeptSpec[] {
  const kept = [...state.specsOfService(serviceId)].flatMap(({ value }) =>
    value.spec === undefined ? [] : [{ ...value, spec: value.spec }],
  );
  return kept.sort((one, other) => other.number - one.number);
}

/** Number of the spec on trial. */
function onTrial(state: StateView, row: Row<Service>): number | undefined {
  return canaryOf(row.value, state.get('serviceStatus', row.id)?.value)?.specNumber;
}

function activeNumber(state: StateView, row: Row<Service>): number {
  return activeSpecNumber(row.value, state.get('serviceStatus', row.id)?.value);
}

function entryOf(state: StateView, row: Row<Service>, { number, createdUnixMs, rollbackTo, spec }: KeptSpec): ServiceSpecEntry {
  const active = activeNumber(state, row);
  return ServiceSpecEntry.create({
    number,
    createdUnixMs,
    rollbackTo,
    active: number === active,
    previous: number === previousSpec(state, row)?.number,
    rolledBack: number > active && number === row.value.specNumber && onTrial(state, row) === undefined,
    canary: number === onTrial(state, row),
    image: spec.task?.container?.image ?? '',
    replicas: spec.replicas,
  });
}
