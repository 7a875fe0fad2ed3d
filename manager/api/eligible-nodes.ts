import type { ServiceSpec } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
export function eligibleNodes(_state: StateView, _spec: ServiceSpec): string[] {
  return [];
}
