// `cluster inspect`
import { formatDurationMs } from '../../lib/units.ts';
import type { ClusterView } from '../../proto/index.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { goTemplate, type Struct, toJson } from '../format/go-template/index.ts';
import { timestamp } from '../format/text.ts';
import { type PrettyItem, renderPretty } from '../inspect/pretty.ts';
import { type Setting, SETTINGS } from './settings.ts';

export async function run(context: VerbContext, _args: readonly string[], flags: { readonly format?: string }): Promise<undefined> {
  const { format } = flags;
  const render = format === undefined ? forPeople : format === 'json' ? forPrograms : withTemplate(format);
  const control = await context.control();
  context.shell.out.write(render(await control.read((client, call) => client.getCluster({}, call))));
}

function withTemplate(format: string): (view: ClusterView) => string {
  const template = goTemplate(format);
  return (view) => `${template(clusterStruct(view))}\n`;
}

function forPrograms(view: ClusterView): string {
  return `${toJson(clusterStruct(view))}\n`;
}

function clusterStruct({ cluster, version, leaderId, managers, storeDriver, ...counts }: ClusterView): Struct {
  return {
    ID: cluster?.id,
    Version: { Index: version },
    CreatedAt: timestamp(cluster?.createdUnixMs ?? 0),
    Incarnation: cluster?.incarnation,
    Store: storeDriver,
    Managers: managers.map(({ managerId, address }) => ({ ID: managerId, Address: address, Leader: managerId === leaderId })),
    Nodes: counts.nodes,
    NodesReady: counts.nodesReady,
    Services: counts.services,
    TasksRunning: counts.tasksRunning,
    Settings: Object.fromEntries(SETTINGS.map((setting) => [nameOf(setting), valueOf(setting, cluster?.settings?.[setting.field])])),
  };
}

function forPeople({ cluster, leaderId, managers, storeDriver, ...counts }: ClusterView): string {
  const items: readonly PrettyItem[] = [
    { name: 'ID', value: cluster?.id },
    { name: 'Store', value: storeDriver },
    { name: 'Nodes', value: `${counts.nodes}, ${counts.nodesReady} ready` },
    { name: 'Services', value: `${counts.services}, with ${counts.tasksRunning} running tasks` },
    { heading: 'Managers' },
    ...managers.map(({ managerId, address }): PrettyItem => ({
      indent: 1,
      name: managerId,
      value: managerId === leaderId ? `${address}, leader` : address,
    })),
    { heading: 'Settings' },
    ...SETTINGS.map((setting): PrettyItem => {
      const given = cluster?.settings?.[setting.field];
      return { indent: 1, name: setting.flag, value: `${valueOf(setting, given)}${given === undefined ? ' (default)' : ''}` };
    }),
  ];
  return renderPretty(items);
}

function valueOf({ kind, fallback }: Setting, given: number | undefined): string {
  return kind === 'count' ? String(given ?? fallback) : formatDurationMs(given ?? fallback);
}

/** "task-history-limit" -> "TaskHistoryLimit" */
function nameOf({ flag }: Setting): string {
  return flag.replaceAll(/(?:^|-)(\w)/g, (_match, letter: string) => letter.toUpperCase());
}
