// `version`: this client's, and the cluster's if a manager answers.
import { ShoalError } from '../../lib/errors.ts';
import { VERSION } from '../../lib/version.ts';
import type { ClusterView } from '../../proto/index.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { reportError } from '../error-report.ts';
import { goTemplate, type Struct, toJson } from '../format/go-template/index.ts';
import { type PrettyItem, renderPretty } from '../inspect/pretty.ts';

export async function run(context: VerbContext, _args: readonly string[], flags: { readonly format?: string }): Promise<number> {
  const { shell } = context;
  const render = renderer(flags.format);
  let cluster: ClusterView | undefined;
  let exitCode = 0;
  try {
    const control = await context.control();
    cluster = await control.read((client, call) => client.getCluster({}, call));
  } catch (thrown) {
    const error = ShoalError.from(thrown);
    if (error.code !== 'unavailable' && error.code !== 'deadline_exceeded') throw error;
    exitCode = reportError(shell, error);
  }
  shell.out.write(render(cluster));
  return exitCode;
}

function renderer(format: string | undefined): (cluster: ClusterView | undefined) => string {
  if (format === undefined) return forPeople;
  if (format === 'json') return (cluster) => `${toJson(structOf(cluster))}\n`;
  const template = goTemplate(format);
  return (cluster) => `${template(structOf(cluster))}\n`;
}

function structOf(cluster: ClusterView | undefined): Struct {
  return {
    Client: { Version: VERSION, NodeVersion: process.version, Os: process.platform, Arch: process.arch },
    Server:
      cluster === undefined
        ? undefined
        : {
            Version: cluster.managerVersion,
            ClusterID: cluster.cluster?.id,
            ManagerID: cluster.managerId,
            LeaderID: cluster.leaderId,
            Store: cluster.storeDriver,
            Managers: cluster.managers.map(({ managerId, address }) => ({ ID: managerId, Address: address })),
            Nodes: cluster.nodes,
            NodesReady: cluster.nodesReady,
            Services: cluster.services,
            TasksRunning: cluster.tasksRunning,
          },
  };
}

function forPeople(cluster: ClusterView | undefined): string {
  const client: readonly PrettyItem[] = [
    { heading: 'Client' },
    { indent: 1, name: 'Version', value: VERSION },
    { indent: 1, name: 'Node.js', value: process.version.slice(1) },
    { indent: 1, name: 'OS/Arch', value: `${process.platform}/${process.arch}` },
  ];
  if (cluster === undefined) return renderPretty(client);
  const leader = cluster.managers.find(({ managerId }) => managerId === cluster.leaderId);
  const server: readonly PrettyItem[] = [
    { heading: 'Cluster' },
    { indent: 1, name: 'Version', value: cluster.managerVersion },
    { indent: 1, name: 'ID', value: cluster.cluster?.id },
    { indent: 1, name: 'Store', value: cluster.storeDriver },
    { indent: 1, name: 'Managers', value: cluster.managers.map(({ address }) => address).join(', ') },
    { indent: 1, name: 'Leader', value: leader?.address ?? cluster.leaderId },
    { indent: 1, name: 'Nodes', value: `${cluster.nodesReady}/${cluster.nodes} ready` },
    { indent: 1, name: 'Services', value: cluster.services },
    { indent: 1, name: 'Tasks', value: `${cluster.tasksRunning} running` },
  ];
  return `${renderPretty(client)}\n${renderPretty(server)}`;
}
