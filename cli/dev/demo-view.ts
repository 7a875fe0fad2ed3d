// What the demo prints: the nodes, the tasks, and what each node answered.
import { createControl } from '../client/control.ts';
import { nodeFormat, sortNodes } from '../format/node.ts';
import { printList } from '../format/resource.ts';
import { sortTasks, taskFormat } from '../format/task.ts';
import type { Shell } from '../shell.ts';
import { DEMO_SERVICE, type DemoAnswer } from './demo.ts';
import type { DevCluster } from './layout.ts';

export async function showDemo(cluster: DevCluster, answers: readonly DemoAnswer[], shell: Shell, signal: AbortSignal): Promise<void> {
  const control = createControl({ managers: cluster.managers, clock: shell.clock, signal });
  try {
    const { nodes } = await control.read((client, call) => client.listNodes({ filters: [], refs: [] }, call));
    const { managerId } = await control.read((client, call) => client.getCluster({}, call));
    const request = { filters: [], serviceRefs: [DEMO_SERVICE], nodeRefs: [], taskRefs: [] };
    const { tasks } = await control.read((client, call) => client.listTasks(request, call));
    shell.out.write('\n');
    printList(shell, nodeFormat(managerId), sortNodes(nodes), {});
    shell.out.write('\n');
    printList(shell, taskFormat, sortTasks(tasks), {});
    shell.out.write('\n');
    for (const { url, text } of answers) shell.out.write(`${url}  ->  ${text}\n`);
  } finally {
    control.close();
  }
}
