// What a change of a service starts from.
import { ShoalError } from '../../../lib/errors.ts';
import type { ServiceSpec } from '../../../proto/index.ts';
import { activeSpecOf, type StateView } from '../../state/index.ts';

/** What users see, and change. */
export function storedSpec(state: StateView, id: string): ServiceSpec {
  const spec = activeSpecOf(state, id)?.spec;
  if (spec === undefined) throw new ShoalError('internal', `the spec of service ${id} is not in the store`);
  return spec;
}
