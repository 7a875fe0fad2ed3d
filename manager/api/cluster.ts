// GetCluster.
import { ClusterView, NodeState, TaskState } from '../../proto/index.ts';
import type { ApiContext } from './context.ts';
import { seenTask } from './task-state.ts';

export function getCluster({ state, store, managerId, version }: ApiContext): ClusterView {
  let tasksRunning = 0;
  for (const task of state.all('tasks')) {
    if (!task.value.lost && seenTask(state, task.value).state === TaskState.RUNNING) tasksRunning++;
  }
  const ready = [...state.all('nodeStatus')].filter((row) => row.value.state === NodeState.NODE_READY);
  return ClusterView.create({
    cluster: state.get('cluster', '')?.value,
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
