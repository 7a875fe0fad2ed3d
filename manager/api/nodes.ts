// ListNodes, UpdateNode, RemoveNode, EvictNode.
import { ShoalError } from '../../lib/errors.ts';
import {
  Availability,
  type ListNodesRequest,
  type Node,
  NodeList,
  NodeRole,
  NodeState,
  type NodeView,
  Removed,
  RemovedNode,
} from '../../proto/index.ts';
import type { EvictNodeRequest, NodeSpec, RemoveNodeRequest, UpdateNodeRequest } from '../../proto/index.ts';
import { type Row, type StateView, TransactionBuilder } from '../state/index.ts';
import { checkAnswerSize } from './answer-size.ts';
import { type Attempt, commitChange } from './change.ts';
import { addEvent } from './change-events.ts';
import type { ApiContext } from './context.ts';
import { compileFilters, type FilterKeys, matchesLabel } from './filters.ts';
import { nodeView } from './node-view.ts';
import { nodeByRef, nodesByRefs } from './refs.ts';
import { hostnameOf } from './task-names.ts';
import { nodeSpecProblems } from './validate/node-spec.ts';

const ROLES: Readonly<Record<string, NodeRole>> = { worker: NodeRole.WORKER, manager: NodeRole.MANAGER };
const AVAILABILITIES: Readonly<Record<string, Availability>> = {
  active: Availability.ACTIVE,
  pause: Availability.PAUSE,
  drain: Availability.DRAIN,
};
const STATES: Readonly<Record<string, NodeState>> = {
  unknown: NodeState.NODE_UNKNOWN,
  ready: NodeState.NODE_READY,
  down: NodeState.NODE_DOWN,
  disconnected: NodeState.NODE_DISCONNECTED,
};

const FILTERS: FilterKeys<NodeView> = {
  id: { matches: (node, value) => node.id.startsWith(value) },
  name: { matches: (node, value) => node.status?.description?.hostname.includes(value) ?? false },
  label: { matches: (node, value) => matchesLabel(node.status?.description?.engine?.labels ?? {}, value) },
  'node.label': { matches: (node, value) => matchesLabel(node.spec?.labels ?? {}, value) },
  role: { matches: (node, value) => node.spec?.role === ROLES[value], values: Object.keys(ROLES) },
  availability: { matches: (node, value) => node.spec?.availability === AVAILABILITIES[value], values: Object.keys(AVAILABILITIES) },
  state: { matches: (node, value) => (node.status?.state ?? NodeState.NODE_UNKNOWN) === STATES[value], values: Object.keys(STATES) },
};

/** Sorted by hostname. */
export function listNodes(state: StateView, request: ListNodesRequest): NodeList {
  const matches = compileFilters(request.filters, FILTERS);
  const rows = request.refs.length > 0 ? nodesByRefs(state, request.refs) : [...state.all('nodes')];
  const nodes = rows.map((row) => nodeView(state, row)).filter(matches);
  const key = (node: NodeView): string => `${node.status?.description?.hostname ?? ''} ${node.id}`;
  nodes.sort((one, other) => (key(one) < key(other) ? -1 : 1));
  return checkAnswerSize(NodeList, { nodes, revision: state.revision }, nodes.length, 'nodes');
}

/** Errors: `not_found`, `invalid_argument` with every wrong field, `conflict` (version), and those of commitChange. */
export async function updateNode(context: ApiContext, request: UpdateNodeRequest): Promise<NodeView> {
  const { state } = context;
  const { id } = nodeByRef(state, request.ref);
  const name = hostnameOf(state, id) || id;
  const { spec } = request;
  if (spec === undefined) throw ShoalError.invalid('the request is not valid', [{ path: 'spec', message: 'is missing' }]);

  const attempt = (): Attempt<Row<Node>> => {
    const row = presentNode(state, id, name);
    if (request.version !== 0 && row.modRevision !== request.version) {
      throw new ShoalError(
        'conflict',
        `node ${name} is at version ${row.modRevision}, the change was made from version ${request.version}: read it again and repeat the change`,
      );
    }
    const before = specOfNode(row.value);
    const problems = nodeSpecProblems(before, spec);
    if (problems.length > 0) throw ShoalError.invalid(`the new settings of node ${name} are not valid`, problems);
    const builder = new TransactionBuilder();
    const attributes = changes(before, spec);
    if (request.checkOnly || Object.keys(attributes).length === 0) return { builder, result: row };
    builder.put('nodes', id, { ...row.value, spec }, row);
    addEvent(builder, context, { type: 'node', action: 'update', objectId: id, objectName: name, message: '', attributes });
    return { builder, result: row };
  };
  const what = { object: `node ${name}`, verb: 'updated', look: `shoal node inspect ${name}` };
  const { result, revision } = await commitChange(context, what, attempt);
  return { ...nodeView(state, state.get('nodes', id) ?? result), revision };
}

/** Errors: `not_found`, `conflict` for a node that is ready, and those of commitChange. */
export async function removeNode(context: ApiContext, request: RemoveNodeRequest): Promise<Removed> {
  const { state } = context;
  const { id } = nodeByRef(state, request.ref);
  const name = hostnameOf(state, id) || id;

  const attempt = (): Attempt<undefined> => {
    const row = presentNode(state, id, name);
    const status = state.get('nodeStatus', id);
    if (status?.value.state === NodeState.NODE_READY && !request.force) {
      throw new ShoalError(
        'conflict',
        `node ${name} is ready: drain it and stop its agent first, or remove it with --force; its tasks then go to other nodes`,
      );
    }
    const session = state.get('sessions', id);
    const builder = new TransactionBuilder().delete('nodes', row);
    // Without a session row every write of the dispatcher that still holds the session fails its compare.
    if (session === undefined) builder.require('sessions', undefined, id);
    else builder.delete('sessions', session);
    if (status !== undefined) builder.delete('nodeStatus', status);
    builder.put('removedNodes', id, RemovedNode.create({ id, removedUnixMs: context.clock.wallMs() }), undefined);
    const oldest = oldestBeyondLimit(state);
    if (oldest !== undefined) builder.delete('removedNodes', oldest);
    builder.overwrite('routeFloor', '', { objectId: '' });
    addEvent(builder, context, { type: 'node', action: 'remove', objectId: id, objectName: name, message: '', attributes: {} });
    return { builder, result: undefined };
  };
  const what = { object: `node ${name}`, verb: 'removed', look: `shoal node inspect ${name}` };
  const { revision } = await commitChange(context, what, attempt);
  return Removed.create({ id, name, revision });
}

/** Errors: `not_found`, `conflict` for a node that is not down, and those of commitChange. */
export async function evictNode(context: ApiContext, request: EvictNodeRequest): Promise<NodeView> {
  const { state } = context;
  const { id } = nodeByRef(state, request.ref);
  const name = hostnameOf(state, id) || id;

  const attempt = (): Attempt<Row<Node>> => {
    const row = presentNode(state, id, name);
    const status = state.get('nodeStatus', id);
    const session = state.get('sessions', id);
    if (status?.value.state !== NodeState.NODE_DOWN || session === undefined) {
      throw new ShoalError('conflict', `node ${name} is not down: nothing holds back its tasks; \`shoal node drain ${name}\` moves them`);
    }
    const builder = new TransactionBuilder();
    if (row.value.evictedNonce === session.value.nonce) return { builder, result: row };
    builder.put('nodes', id, { ...row.value, evictedNonce: session.value.nonce }, row);
    builder.require('sessions', session).require('nodeStatus', status);
    addEvent(builder, context, { type: 'node', action: 'evict', objectId: id, objectName: name, message: 'by hand', attributes: {} });
    return { builder, result: row };
  };
  const what = { object: `node ${name}`, verb: 'evicted', look: `shoal node ps ${name}` };
  const { result, revision } = await commitChange(context, what, attempt);
  return { ...nodeView(state, state.get('nodes', id) ?? result), revision };
}

/** An agent that has not been heard of through so many removals after its own is left to `shoal agent --purge`. */
const REMEMBERED_REMOVALS = 1000;

function oldestBeyondLimit(state: StateView): Row<RemovedNode> | undefined {
  if (state.count('removedNodes') < REMEMBERED_REMOVALS) return undefined;
  let oldest: Row<RemovedNode> | undefined;
  for (const row of state.all('removedNodes')) {
    if (oldest === undefined || row.value.removedUnixMs < oldest.value.removedUnixMs) oldest = row;
  }
  return oldest;
}

function presentNode(state: StateView, id: string, name: string): Row<Node> {
  const row = state.get('nodes', id);
  if (row === undefined) throw new ShoalError('not_found', `node ${name} was removed meanwhile`);
  return row;
}

function specOfNode(node: Node): NodeSpec {
  return node.spec ?? { role: NodeRole.WORKER, availability: Availability.ACTIVE, labels: {} };
}

/** For the event; empty: nothing changes. */
function changes(before: NodeSpec, after: NodeSpec): Record<string, string> {
  const attributes: Record<string, string> = {};
  if (before.availability !== after.availability) {
    attributes['availability.old'] = nameOf(AVAILABILITIES, before.availability);
    attributes['availability.new'] = nameOf(AVAILABILITIES, after.availability);
  }
  const keys = new Set([...Object.keys(before.labels), ...Object.keys(after.labels)]);
  const changed = [...keys].filter((key) => before.labels[key] !== after.labels[key]);
  if (changed.length > 0) attributes['labels'] = changed.sort().join(',');
  return attributes;
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}
