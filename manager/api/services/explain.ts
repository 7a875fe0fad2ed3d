// ExplainService: why a service is not as it should be. From this manager's own state: nobody is asked.
import type { ExplainServiceRequest, ServiceExplanation } from '../../../proto/index.ts';
import { ServiceExplanation as Explanation } from '../../../proto/index.ts';
import { explainService, type KeptInventory } from '../../explain/index.ts';
import { checkAnswerSize } from '../answer-size.ts';
import type { ApiContext } from '../context.ts';
import { serviceByRef } from '../refs.ts';

/** Errors: `not_found`. */
export function explainServiceByRef(
  { state, clock }: ApiContext,
  inventory: KeptInventory,
  { ref }: ExplainServiceRequest,
): ServiceExplanation {
  const explanation = explainService(state, serviceByRef(state, ref).id, clock, () => inventory.get());
  return checkAnswerSize(Explanation, explanation, explanation.tasks.length, 'tasks');
}
