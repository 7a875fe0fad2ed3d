// What a change of a service starts from.
import { ShoalError } from '../../../lib/errors.ts';
import type { ServiceSpec } from '../../../proto/index.ts';
import { activeSpecOf, type StateView } from '../../state/index.ts';

/** What users see, and change. */
export function storedSpec(state: StateView, id: string): ServiceSpec {
  return numberedSpec(state, id).spec;
}

/** The same, with its number. */
export function numberedSpec(state: StateView, id: string): { readonly number: number; readonly spec: ServiceSpec } {
  const active = activeSpecOf(state, id);
  if (active === undefined) throw new ShoalError('internal', `the spec of service ${id} is not in the store`);
  return active;
}
