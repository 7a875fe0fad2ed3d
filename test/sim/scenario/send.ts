// Requests that bring a spec: what became of each is told to the truth.
import { type ErrorCode, ShoalError } from '../../../lib/errors.ts';
import type { ServiceChange, ServiceSpec } from '../../../proto/index.ts';
import { MARK_LABEL, type Truth } from '../truth/truth.ts';

/** Whoever is told one of these can rely on it: nothing was changed. */
const CERTAIN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'conflict',
  'already_exists',
  'failed_precondition',
  'invalid_argument',
  'not_found',
]);

/** Under a mark of its own, so that it can be told of each request what became of it. `isTrial`: the spec is to be tried beside the present one. */
export async function send(
  truth: Truth,
  spec: ServiceSpec,
  call: (spec: ServiceSpec) => Promise<ServiceChange>,
  isTrial = false,
): Promise<ServiceChange> {
  const mark = truth.nextMark();
  const marked = { ...spec, labels: { ...spec.labels, [MARK_LABEL]: mark } };
  try {
    const change = await call(marked);
    // What is scaled while another spec is on trial is stored before that one.
    const isNewest = isTrial || change.service?.canary === undefined;
    acknowledge(truth, change, isNewest ? marked : undefined);
    return change;
  } catch (error) {
    const { code, message } = ShoalError.from(error);
    if (CERTAIN.has(code)) truth.refused({ mark, why: message });
    throw error;
  }
}

/** `spec` undefined: not known to the user. */
export function acknowledge(truth: Truth, { service, specNumber }: ServiceChange, spec: ServiceSpec | undefined): void {
  if (service !== undefined) truth.acknowledged({ serviceId: service.id, specNumber, spec });
}
