// `node inspect`: JSON under Docker's field names, and --pretty.
import { formatSizeBytes } from '../../lib/units.ts';
import { Availability, enumName, type GenericResource, NodeRole, NodeState, type NodeView } from '../../proto/index.ts';
import { mapOf, type Struct } from '../format/go-template/index.ts';
import { nodeStateName } from '../format/node.ts';
import { protocolName } from '../format/ports.ts';
import { timestamp } from '../format/text.ts';
import { type PrettyItem, prettyMap, renderPretty } from './pretty.ts';

export function nodeStruct(node: NodeView): Struct {
  const { spec, status } = node;
  const description = status?.description;
  const engine = description?.engine;
  const trouble = engine?.trouble;
  return {
    ID: node.id,
    Version: { Index: node.version },
    CreatedAt: timestamp(node.createdUnixMs),
    Spec: {
      Labels: mapOf(spec?.labels ?? {}),
      Role: enumName(NodeRole, spec?.role ?? NodeRole.WORKER).toLowerCase(),
      Availability: enumName(Availability, spec?.availability ?? Availability.ACTIVE).toLowerCase(),
    },
    Description:
      description === undefined
        ? undefined
        : {
            Hostname: description.hostname,
            Platform: { Architecture: description.platform?.arch, OS: description.platform?.os },
            Resources: {
              NanoCPUs: description.resources?.nanoCpus,
              MemoryBytes: description.resources?.memoryBytes,
              GenericResources:
                description.genericResources.length === 0 ? undefined : description.genericResources.flatMap(genericStructs),
            },
            Engine: {
              EngineVersion: engine?.version,
              Runtime: engine?.runtime,
              Labels: mapOf(engine?.labels ?? {}),
              Plugins: engine?.plugins.map(pluginStruct),
              Trouble: trouble === undefined ? undefined : { Reason: trouble.reason, Since: timestamp(trouble.sinceUnixMs) },
            },
            DataAddress: description.dataAddress,
            MeshAddresses: description.meshAddresses,
            ShoalVersion: description.shoalVersion,
          },
    Status: {
      State: stateOf(node),
      Message: status?.message || undefined,
      Remark: node.remark || undefined,
      Addr: status?.address,
      MeshUnready: status?.meshUnready === true ? true : undefined,
      PortProblems:
        (status?.portProblems.length ?? 0) === 0
          ? undefined
          : status?.portProblems.map(({ protocol, publishedPort, message }) => ({
              Protocol: protocolName(protocol),
              PublishedPort: publishedPort,
              Message: message,
            })),
    },
    ManagerStatus: node.managerStatus === '' ? undefined : { Leader: node.managerStatus === 'leader', Reachability: 'reachable' },
    RunningTasks: node.runningTasks,
  };
}

/** As Docker has it: one entry for a number, or one for each name. */
function genericStructs({ kind, count, names }: GenericResource): readonly Struct[] {
  if (names.length === 0) return [{ DiscreteResourceSpec: { Kind: kind, Value: count } }];
  return names.map((name) => ({ NamedResourceSpec: { Kind: kind, Value: name } }));
}

function stateOf(node: NodeView): string {
  return enumName(NodeState, node.status?.state ?? NodeState.NODE_UNKNOWN)
    .replace('NODE_', '')
    .toLowerCase();
}

/** "volume/local" */
function pluginStruct(plugin: string): Struct {
  const slash = plugin.indexOf('/');
  return { Type: plugin.slice(0, Math.max(0, slash)), Name: plugin.slice(slash + 1) };
}

export function renderNodePretty(node: NodeView): string {
  const { spec, status } = node;
  const description = status?.description;
  const resources = description?.resources;
  const trouble = description?.engine?.trouble;
  return renderPretty([
    { name: 'ID', value: node.id },
    ...prettyMap('Labels', spec?.labels ?? {}),
    { name: 'Hostname', value: description?.hostname },
    { name: 'Joined at', value: timestamp(node.createdUnixMs) },
    { heading: 'Status' },
    { indent: 1, name: 'State', value: nodeStateName(node) },
    { indent: 1, name: 'Message', value: status?.message },
    { indent: 1, name: 'Availability', value: enumName(Availability, spec?.availability ?? Availability.ACTIVE).toLowerCase() },
    { indent: 1, name: 'Address', value: description?.dataAddress || status?.address },
    { indent: 1, name: 'Running tasks', value: node.runningTasks },
    { name: 'Role', value: enumName(NodeRole, spec?.role ?? NodeRole.WORKER).toLowerCase() },
    { heading: 'Platform' },
    { indent: 1, name: 'System', value: description?.platform?.os },
    { indent: 1, name: 'Architecture', value: description?.platform?.arch },
    { heading: 'Resources' },
    { indent: 1, name: 'CPUs', value: resources === undefined ? undefined : resources.nanoCpus / 1e9 },
    { indent: 1, name: 'Memory', value: resources === undefined ? undefined : formatSizeBytes(resources.memoryBytes) },
    ...(description?.genericResources ?? []).map(({ kind, count, names }): PrettyItem => ({
      indent: 1,
      name: kind,
      value: names.length === 0 ? count : names.join(', '),
    })),
    { heading: 'Engine' },
    { indent: 1, name: 'Runtime', value: description?.engine?.runtime },
    { indent: 1, name: 'Version', value: description?.engine?.version },
    {
      indent: 1,
      name: 'Trouble',
      value: trouble === undefined ? undefined : `${trouble.reason} (since ${timestamp(trouble.sinceUnixMs)})`,
    },
    { name: 'Shoal Version', value: description?.shoalVersion },
    { heading: 'Ports that could not be opened' },
    ...(status?.portProblems ?? []).map((problem): PrettyItem => ({
      indent: 1,
      name: `${String(problem.publishedPort)}/${protocolName(problem.protocol)}`,
      value: problem.message,
    })),
  ]);
}
