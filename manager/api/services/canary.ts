// EndCanary: the spec on trial becomes that of all tasks, or is given up.
import { ShoalError } from '../../../lib/errors.ts';
import { CanaryEnd, type EndCanaryRequest, type Service, type ServiceChange } from '../../../proto/index.ts';
import { canaryOf, type CanaryState, type Row, specOf, type StateView, TransactionBuilder } from '../../state/index.ts';
import { type Attempt, commitChange } from '../change.ts';
import { addEvent } from '../change-events.ts';
import type { ApiContext } from '../context.ts';
import { serviceByRef } from '../refs.ts';
import { changeAnswer, type StoredChange } from './change-answer.ts';
import { putSpecs } from './new-spec.ts';
import { atVersion } from './update.ts';

/** Errors: `not_found`, `conflict` also where no canary is on, and those of commitChange. */
export async function endCanary(context: ApiContext, request: EndCanaryRequest): Promise<ServiceChange> {
  const { state, clock } = context;
  const { id, value: service, modRevision } = serviceByRef(state, request.ref);
  const version = request.version === 0 ? modRevision : request.version;
  const isPromotion = request.end === CanaryEnd.CANARY_PROMOTE;

  const attempt = (): Attempt<StoredChange> => {
    const row = atVersion(state, id, service.name, version);
    const builder = new TransactionBuilder();
    const on = canaryOn(state, row);
    // The leader may be about to say something else of it.
    builder.require('serviceStatus', state.get('serviceStatus', id), id);
    if (isPromotion) putPromotion(builder, row, clock.wallMs());
    const specNumber = isPromotion ? on.specNumber : putAbort(builder, state, row, on, clock.wallMs());
    const attributes = { spec: String(on.specNumber) };
    const action = isPromotion ? 'promote' : 'abort';
    addEvent(builder, context, { type: 'service', action, objectId: id, objectName: service.name, message: '', attributes });
    return { builder, result: { row, specNumber } };
  };
  const verb = isPromotion ? 'promoted' : 'aborted';
  const what = { object: `the canary of ${service.name}`, verb, look: `shoal service inspect ${service.name}` };
  const { result, revision } = await commitChange(context, what, attempt);
  return changeAnswer(state, result, revision, []);
}

function canaryOn(state: StateView, { id, value }: Row<Service>): CanaryState {
  const on = canaryOf(value, state.get('serviceStatus', id)?.value);
  if (on !== undefined) return on;
  throw new ShoalError(
    'conflict',
    `service ${value.name} has no canary: it was promoted or has failed meanwhile, or there was none; see \`shoal service inspect ${value.name}\``,
  );
}

function putPromotion(builder: TransactionBuilder, row: Row<Service>, nowUnixMs: number): void {
  const { canary } = row.value;
  if (canary === undefined) return;
  builder.put('services', row.id, { ...row.value, canary: { ...canary, promoted: true }, updatedUnixMs: nowUnixMs }, row);
}

/** As a rollback to what the other tasks run by. */
function putAbort(builder: TransactionBuilder, state: StateView, row: Row<Service>, on: CanaryState, nowUnixMs: number): number {
  const spec = specOf(state, row.id, on.baseSpecNumber);
  if (spec === undefined) throw new ShoalError('internal', `spec ${on.baseSpecNumber} of service ${row.value.name} is not in the store`);
  return putSpecs({ builder, state, row, specs: [spec], rollbackTo: on.baseSpecNumber, canary: undefined, nowUnixMs });
}
