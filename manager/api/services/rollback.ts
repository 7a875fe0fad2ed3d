// RollbackService: an earlier spec becomes the newest again, under a new number. The leader rolls it out by the rollback settings.
import { isDeepStrictEqual } from 'node:util';
import { ShoalError } from '../../../lib/errors.ts';
import type { RollbackServiceRequest, Service, ServiceChange } from '../../../proto/index.ts';
import { activeSpecOf, canaryOf, type Row, type StateView, TransactionBuilder } from '../../state/index.ts';
import { type Attempt, commitChange } from '../change.ts';
import { addEvent } from '../change-events.ts';
import type { ApiContext } from '../context.ts';
import { serviceByRef } from '../refs.ts';
import { changeAnswer, type StoredChange } from './change-answer.ts';
import { type KeptSpec, keptSpec, previousSpec } from './history.ts';
import { putSpecs } from './new-spec.ts';
import { refuseOtherOutcome } from './plan-digest.ts';
import { atVersion } from './update.ts';

/**
 * A spec that equals the active one changes nothing, and a warning says so.
 * Errors: `not_found`, `failed_precondition` where there is nothing to go back to, `conflict` (version, ports), and those of commitChange.
 */
export async function rollbackService(context: ApiContext, request: RollbackServiceRequest): Promise<ServiceChange> {
  const { state } = context;
  const { id, value: service, modRevision } = serviceByRef(state, request.ref);
  // What "the one before" means is settled once: after a conflict it must not go back a step further.
  const version = request.version === 0 ? modRevision : request.version;
  const warnings: string[] = [];

  const attempt = (): Attempt<StoredChange> => {
    const row = atVersion(state, id, service.name, version);
    const { target, isNothing, warnings: told } = proposedRollback(state, row, request);
    const builder = new TransactionBuilder();
    warnings.splice(0, Infinity, ...told);
    if (isNothing) return { builder, result: { row, specNumber: activeSpecOf(state, id)?.number ?? target.number } };
    if (canaryOn(state, row)) builder.require('serviceStatus', state.get('serviceStatus', id), id);
    const nowUnixMs = context.clock.wallMs();
    const specNumber = putSpecs({ builder, state, row, specs: [target.spec], canary: undefined, rollbackTo: target.number, nowUnixMs });
    const attributes = { spec: String(target.number) };
    addEvent(builder, context, { type: 'service', action: 'rollback', objectId: id, objectName: service.name, message: '', attributes });
    return { builder, result: { row, specNumber } };
  };
  const what = { object: `service ${service.name}`, verb: 'rolled back', look: `shoal service history ${service.name}` };
  const { result, revision } = await commitChange(context, what, attempt);
  return changeAnswer(state, result, revision, warnings);
}

export interface ProposedRollback {
  readonly target: KeptSpec;
  /** It runs that already. */
  readonly isNothing: boolean;
  readonly warnings: readonly string[];
}

/** Errors as for rollbackService, but for the version and ports. */
export function proposedRollback(state: StateView, row: Row<Service>, request: RollbackServiceRequest): ProposedRollback {
  const target = targetOf(state, row, request.toSpecNumber);
  refuseOtherOutcome(target.spec, request.plannedDigest);
  // From a canary one goes back to what all other tasks run by.
  const isNothing = !canaryOn(state, row) && isDeepStrictEqual(target.spec, activeSpecOf(state, row.id)?.spec);
  const warning = `spec ${target.number} of service ${row.value.name} is what it runs already: nothing changes`;
  return { target, isNothing, warnings: isNothing ? [warning] : [] };
}

function canaryOn(state: StateView, { id, value }: Row<Service>): boolean {
  return canaryOf(value, state.get('serviceStatus', id)?.value) !== undefined;
}

function targetOf(state: StateView, row: Row<Service>, number: number): KeptSpec {
  const { name } = row.value;
  if (number !== 0) return keptSpec(state, row, number);
  const previous = previousSpec(state, row);
  if (previous !== undefined) return previous;
  throw new ShoalError(
    'failed_precondition',
    `service ${name} has no earlier spec to go back to: it was never updated, or no earlier one is kept; see \`shoal service history ${name}\``,
  );
}
