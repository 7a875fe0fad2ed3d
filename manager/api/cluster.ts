// GetCluster, UpdateCluster.
import { ShoalError } from '../../lib/errors.ts';
import { ClusterSettings, ClusterView, NodeState, TaskState, type UpdateClusterRequest } from '../../proto/index.ts';
import { TransactionBuilder } from '../state/index.ts';
import { type Attempt, commitChange } from './change.ts';
import { addEvent } from './change-events.ts';
import type { ApiContext } from './context.ts';
import { seenTask } from './task-state.ts';
import { clusterSettingsProblems } from './validate/cluster-settings.ts';

export function getCluster({ state, store, managerId, version }: ApiContext): ClusterView {
  let tasksRunning = 0;
  for (const task of state.all('tasks')) {
    if (!task.value.lost && seenTask(state, task.value).state === TaskState.RUNNING) tasksRunning++;
  }
  const ready = [...state.all('nodeStatus')].filter((row) => row.value.state === NodeState.NODE_READY);
  return ClusterView.create({
    cluster: state.get('cluster', '')?.value,
    version: state.get('cluster', '')?.modRevision ?? 0,
    revision: state.revision,
    managerId,
    managerVersion: version,
    storeDriver: store.driver,
    leaderId: state.get('leader', '')?.value.managerId ?? '',
    managers: [...state.all('managers')].map((row) => row.value),
    services: state.count('services'),
    tasksRunning,
    nodesReady: ready.length,
    nodes: state.count('nodes'),
  });
}

/** Errors: `invalid_argument` with every wrong field, `conflict` (version), and those of commitChange. */
export async function updateCluster(context: ApiContext, request: UpdateClusterRequest): Promise<ClusterView> {
  const { state } = context;
  const { settings } = request;
  if (settings === undefined) throw ShoalError.invalid('the request is not valid', [{ path: 'settings', message: 'is missing' }]);
  const problems = clusterSettingsProblems(settings);
  if (problems.length > 0) throw ShoalError.invalid('the settings are not valid', problems);
  if (request.checkOnly) return getCluster(context);

  const attempt = (): Attempt<undefined> => {
    const row = state.get('cluster', '');
    if (row === undefined) throw new ShoalError('unavailable', "the cluster's own row is not there yet; try again");
    if (request.version !== 0 && row.modRevision !== request.version) {
      throw new ShoalError(
        'conflict',
        `the cluster is at version ${row.modRevision}, the change was made from version ${request.version}: read it again and repeat the change`,
      );
    }
    const builder = new TransactionBuilder();
    const before = ClusterSettings.encode(row.value.settings ?? ClusterSettings.create());
    if (Buffer.compare(before, ClusterSettings.encode(settings)) === 0) return { builder, result: undefined };
    builder.put('cluster', '', { ...row.value, settings }, row);
    const { id } = row.value;
    addEvent(builder, context, { type: 'cluster', action: 'update', objectId: id, objectName: id, message: '', attributes: {} });
    return { builder, result: undefined };
  };
  const { revision } = await commitChange(context, { object: 'the cluster', verb: 'updated', look: 'shoal cluster inspect' }, attempt);
  return { ...getCluster(context), revision };
}
