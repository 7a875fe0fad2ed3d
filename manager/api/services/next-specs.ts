// What an update makes of a service: the next spec, or two of them where a canary is on and the service is scaled, and what becomes of the canary. Pure.
import { isDeepStrictEqual } from 'node:util';
import { ShoalError } from '../../../lib/errors.ts';
import { Canary, type CanaryWish, type Service, type ServiceSpec, UpdateState } from '../../../proto/index.ts';
import { canaryProblem } from '../../explain/index.ts';
import { activeSpecNumber, canaryOf, type CanaryState, type Row, seenSpecNumber, specOf, type StateView } from '../../state/index.ts';

export interface NextSpecs {
  /** In the order of their numbers, from the next one on; none: the newest stays. */
  readonly specs: readonly ServiceSpec[];
  readonly canary: Canary | undefined;
  readonly warnings: readonly string[];
}

const MAX_PERMILLE = 1000;
/** A week. */
const MAX_PROMOTE_AFTER_MS = 7 * 24 * 3_600_000;

/**
 * `before`: what users see as the service's spec; `after`: what it shall be, normalized. Undefined: nothing changes. Errors: `invalid_argument` where
 * the new spec cannot be tried, `conflict` where an update is under way.
 */
export function nextSpecs(
  state: StateView,
  row: Row<Service>,
  before: ServiceSpec,
  after: ServiceSpec,
  wish: CanaryWish | undefined,
): NextSpecs | undefined {
  checkWish(wish);
  const status = state.get('serviceStatus', row.id)?.value;
  const on = canaryOf(row.value, status);
  const isSame = isDeepStrictEqual(after, before);
  if (on !== undefined && isDeepStrictEqual({ ...after, replicas: 0 }, { ...before, replicas: 0 }))
    return isSame && wish === undefined ? undefined : kept(state, row, on, isSame ? undefined : after, wish);
  if (wish === undefined)
    return isSame ? undefined : { specs: [after], canary: undefined, warnings: on === undefined ? [] : [ended(row, on)] };
  if (on === undefined) refuseWhileUpdating(state, row);
  const problem = canaryProblem(before, after);
  if (problem !== undefined) throw refusal(row, problem);
  const canary = Canary.create({
    baseSpecNumber: activeSpecNumber(row.value, status),
    permille: wish.permille,
    promoteAfterMs: wish.promoteAfterMs ?? 0,
    round: (row.value.canary?.round ?? 0) + 1,
  });
  return { specs: [after], canary, warnings: on === undefined ? [] : [ended(row, on)] };
}

/** It goes on, with another share or beside more or fewer replicas. `scaled`: undefined where they stay. */
function kept(
  state: StateView,
  row: Row<Service>,
  on: CanaryState,
  scaled: ServiceSpec | undefined,
  wish: CanaryWish | undefined,
): NextSpecs {
  const { id, value: service } = row;
  const trial = specOf(state, id, on.specNumber);
  if (trial === undefined) throw new ShoalError('internal', `the spec of the canary of ${service.name} is not in the store`);
  const canary = Canary.create({
    baseSpecNumber: scaled === undefined ? on.baseSpecNumber : service.specNumber + 1,
    permille: wish?.permille ?? on.permille,
    promoteAfterMs: wish?.promoteAfterMs ?? on.promoteAfterMs,
    round: wish === undefined ? on.round : on.round + 1,
  });
  return { specs: scaled === undefined ? [] : [scaled, { ...trial, replicas: scaled.replicas }], canary, warnings: [] };
}

function ended({ value: { name } }: Row<Service>, { specNumber }: CanaryState): string {
  return `the canary of ${name} (spec ${specNumber}) ends with this change, which began from the spec that the other tasks run by`;
}

function checkWish(wish: CanaryWish | undefined): void {
  if (wish === undefined) return;
  const problems = [];
  if (!(Number.isSafeInteger(wish.permille) && wish.permille >= 0 && wish.permille <= MAX_PERMILLE))
    problems.push({ path: 'canary.permille', message: `${wish.permille} is not between 0 and ${MAX_PERMILLE}` });
  if ((wish.promoteAfterMs ?? 0) > MAX_PROMOTE_AFTER_MS)
    problems.push({ path: 'canary.promoteAfterMs', message: `${wish.promoteAfterMs ?? 0} ms are longer than a week` });
  if (problems.length > 0) throw ShoalError.invalid('the request is not valid', problems);
}

/** What is known to run well must be what all tasks run. */
function refuseWhileUpdating(state: StateView, { id, value: service }: Row<Service>): void {
  const status = state.get('serviceStatus', id)?.value;
  const { name } = service;
  switch (seenSpecNumber(status) === service.specNumber ? status?.update?.state : UpdateState.UPDATING) {
    case UpdateState.UPDATING:
    case UpdateState.UPDATE_PAUSED:
    case UpdateState.ROLLBACK_STARTED:
    case UpdateState.ROLLBACK_PAUSED:
      throw new ShoalError(
        'conflict',
        `${name} is being updated, and a canary runs beside tasks that are all alike: bring the update to its end first; ` +
          `\`shoal service explain ${name}\` says what it waits for`,
      );
    default:
  }
}

function refusal({ value: { name } }: Row<Service>, message: string): ShoalError {
  return ShoalError.invalid(`service ${name} cannot have such a canary`, [{ path: 'canary.permille', message }]);
}
