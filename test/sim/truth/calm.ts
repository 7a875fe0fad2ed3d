// When the calm that rebalancing by itself waits for begins anew, as a leader counts it (manager/leader/node-calm.ts).
import { movesTasks } from '../../../manager/leader/dirty-services.ts';
import type { AnyChange } from './mirror.ts';

/** A node came, went, or is not what it was; or somebody else leads, who does not know since when the nodes have been calm. */
export function endsCalm(change: AnyChange): boolean {
  switch (change.table) {
    case 'nodes':
    case 'nodeWatch':
      return true;
    case 'nodeStatus':
      return movesTasks(change);
    case 'leader':
      return change.after !== undefined && change.after.createRevision !== change.before?.createRevision;
    default:
      return false;
  }
}
