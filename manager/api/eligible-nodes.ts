// Which nodes a global service will have a task on though the leader may not have made it yet. By the leader's own rule.
import type { ServiceSpec } from '../../proto/index.ts';
import { takesGlobalTask } from '../constraint/index.ts';
import type { StateView } from '../state/index.ts';

export function eligibleNodes(state: StateView, spec: ServiceSpec): string[] {
  const ids: string[] = [];
  for (const { id, value: node } of state.all('nodes')) {
    if (takesGlobalTask(spec.task?.placement, node, state.get('nodeStatus', id)?.value)) ids.push(id);
  }
  return ids;
}
