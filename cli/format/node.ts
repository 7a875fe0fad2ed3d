// How `node ls` shows a node.
import { Availability, enumName, NodeRole, NodeState, type NodeView } from '../../proto/index.ts';
import { mapOf } from './go-template/index.ts';
import type { ResourceFormat } from './resource.ts';
import { capitalized } from './text.ts';

/** `selfId`: the node of the manager that answered, which gets a star; empty: none. */
export function nodeFormat(selfId: string): ResourceFormat<NodeView> {
  return {
    headers: {
      ID: 'ID',
      Hostname: 'HOSTNAME',
      Status: 'STATUS',
      Availability: 'AVAILABILITY',
      ManagerStatus: 'MANAGER STATUS',
      EngineVersion: 'ENGINE VERSION',
      Self: 'SELF',
      Role: 'ROLE',
      Address: 'ADDRESS',
      Tasks: 'TASKS',
      Labels: 'LABELS',
    },
    columns: ['ID', 'Hostname', 'Status', 'Availability', 'ManagerStatus', 'EngineVersion'],
    // Docker never shortens node ids: they are typed into `node update`.
    id: (node) => node.id,
    fields: (node) => ({
      ID: node.id,
      Hostname: node.status?.description?.hostname,
      Status: nodeStateName(node),
      Availability: capitalized(enumName(Availability, node.spec?.availability ?? Availability.ACTIVE)),
      ManagerStatus: capitalized(node.managerStatus),
      EngineVersion: engineOf(node),
      Self: node.id === selfId,
      Role: enumName(NodeRole, node.spec?.role ?? NodeRole.WORKER).toLowerCase(),
      Address: node.status?.description?.dataAddress || node.status?.address,
      Tasks: node.runningTasks,
      Labels: mapOf(node.spec?.labels ?? {}),
    }),
    inTable: (fields, node) => ({ ...fields, ID: node.id === selfId ? `${node.id} *` : `${node.id}  ` }),
  };
}

/** "NODE_READY" -> "Ready"; a mesh or an engine that does not answer is part of the picture. */
export function nodeStateName(node: NodeView): string {
  const state = capitalized(enumName(NodeState, node.status?.state ?? NodeState.NODE_UNKNOWN).replace('NODE_', ''));
  const remarks = [
    ...(node.status?.meshUnready === true ? ['mesh unready'] : []),
    ...(node.status?.description?.engine?.trouble === undefined ? [] : ['engine does not answer']),
    ...(node.remark === '' ? [] : [node.remark.slice(0, node.remark.indexOf(':'))]),
  ];
  return remarks.length === 0 ? state : `${state} (${remarks.join(', ')})`;
}

function engineOf(node: NodeView): string {
  const engine = node.status?.description?.engine;
  if (engine === undefined) return '';
  return engine.runtime === 'docker' ? engine.version : [engine.runtime, engine.version].filter(Boolean).join(' ');
}

/** By hostname, then id. */
export function sortNodes(nodes: readonly NodeView[]): readonly NodeView[] {
  const key = (node: NodeView): string => `${node.status?.description?.hostname ?? ''}\0${node.id}`;
  return [...nodes].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
