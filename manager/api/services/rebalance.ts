// RebalanceService: writes down that somebody wants the service rebalanced. The leader moves its tasks, one at a time, and tells of it in the service's
// status. The wish is no change of the service: it keeps its version.
import { ShoalError } from '../../../lib/errors.ts';
import {
  RebalanceAnswer,
  RebalanceRequest,
  type RebalanceServiceRequest,
  RebalanceState,
  type Service,
  ServiceMode,
  UpdateState,
} from '../../../proto/index.ts';
import { activeSpecOf, type Row, seenSpecNumber, type StateView, TransactionBuilder } from '../../state/index.ts';
import { type Attempt, commitChange } from '../change.ts';
import type { ApiContext } from '../context.ts';
import { serviceByRef } from '../refs.ts';

/** One that is under way already is joined. Errors: `not_found`, `conflict`, and those of commitChange. */
export async function rebalanceService(context: ApiContext, { ref }: RebalanceServiceRequest): Promise<RebalanceAnswer> {
  const { state, clock } = context;
  const { id, value: known } = serviceByRef(state, ref);

  const attempt = (): Attempt<number> => {
    const row = state.get('services', id);
    if (row === undefined) throw new ShoalError('not_found', `service ${known.name} was removed meanwhile`);
    const wish = newWish(state, row, clock.wallMs());
    const builder = new TransactionBuilder();
    if (isUnderWay(state, id)) return { builder, result: wish.number - 1 };
    builder.require('services', row, id).put('rebalance', id, wish, state.get('rebalance', id));
    return { builder, result: wish.number };
  };
  const what = { object: `service ${known.name}`, verb: 'rebalanced', look: `shoal service inspect ${known.name}` };
  const { result, revision } = await commitChange(context, what, attempt);
  return RebalanceAnswer.create({ serviceId: id, serviceName: known.name, request: result, revision });
}

/** Throws `conflict` where the service cannot be rebalanced now. */
export function newWish(state: StateView, { id, value: service }: Row<Service>, nowUnixMs: number): RebalanceRequest {
  refuse(state, id, service);
  const number = (state.get('rebalance', id)?.value.number ?? 0) + 1;
  return RebalanceRequest.create({ serviceId: id, number, specNumber: service.specNumber, createdUnixMs: nowUnixMs });
}

/** Some user's wish that the leader has not answered, or has not come to an end with. */
export function isUnderWay(state: StateView, serviceId: string): boolean {
  const wish = state.get('rebalance', serviceId)?.value;
  if (wish === undefined) return false;
  const status = state.get('serviceStatus', serviceId)?.value.rebalance;
  return status?.request !== wish.number || (status.state === RebalanceState.REBALANCING && !status.automatic);
}

function refuse(state: StateView, id: string, { name, specNumber }: Service): void {
  const mode = activeSpecOf(state, id)?.spec.mode;
  if (mode === ServiceMode.GLOBAL || mode === ServiceMode.GLOBAL_JOB)
    throw new ShoalError('conflict', `${name} is global: it runs one task on each node, and there is nothing to rebalance`);
  if (mode !== ServiceMode.REPLICATED) throw new ShoalError('conflict', `${name} is a job: its tasks end by themselves`);
  const status = state.get('serviceStatus', id)?.value;
  const look = `\`shoal service explain ${name}\` says what it waits for`;
  switch (seenSpecNumber(status) === specNumber ? status?.update?.state : UpdateState.UPDATING) {
    case UpdateState.UPDATING:
    case UpdateState.ROLLBACK_STARTED:
      throw new ShoalError('conflict', `${name} is being updated, which places its tasks anyway: rebalance it afterwards; ${look}`);
    case UpdateState.UPDATE_PAUSED:
    case UpdateState.ROLLBACK_PAUSED:
      throw new ShoalError('conflict', `the update of ${name} is paused and nothing moves: bring it to its end first; ${look}`);
    case UpdateState.CANARY:
    case UpdateState.CANARY_PAUSED:
      throw new ShoalError(
        'conflict',
        `${name} has a canary: promote or abort it first (\`shoal service update --promote ${name}\`, \`--abort\`)`,
      );
    default:
  }
}
