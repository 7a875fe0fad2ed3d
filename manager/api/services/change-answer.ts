// What a user is told of a change of a service that is there already.
import { type Service, ServiceChange } from '../../../proto/index.ts';
import type { Row, StateView } from '../../state/index.ts';
import type { Revision } from '../../store/store.ts';
import { serviceView } from './service-view.ts';

export interface StoredChange {
  /** As it was before. */
  readonly row: Row<Service>;
  readonly specNumber: number;
}

/** The service is shown as it is now, the number is that of the change: the leader may have left the spec again before its user hears of it. */
export function changeAnswer(
  state: StateView,
  { row, specNumber }: StoredChange,
  revision: Revision,
  warnings: readonly string[],
): ServiceChange {
  const service = serviceView(state, state.get('services', row.id) ?? row);
  return ServiceChange.create({ service, revision, warnings, specNumber });
}
