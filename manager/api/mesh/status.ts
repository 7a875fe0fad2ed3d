// GetMeshStatus: what the mesh of each node does.
import { MeshPort, MeshStatusList, type MeshStatusFilter, NodeMesh, type MeshRoute, MeshSums } from '../../../proto/index.ts';
import { checkAnswerSize } from '../answer-size.ts';
import type { ApiContext } from '../context.ts';
import { compileFilters, type FilterKeys } from '../filters.ts';
import { nodesByRefs } from '../refs.ts';
import { hostnameOf } from '../task-names.ts';
import { askMeshes, type MeshPage } from './ask.ts';
import { ROUTE_FILTERS, YES_OR_NO } from './filters.ts';

/** Nodes and their routes are filtered apart, by one list of filters: what is not there matches. */
interface Filtered {
  readonly node?: NodeMesh;
  readonly port?: MeshPort;
  readonly route?: MeshRoute;
}

function ofNode(matches: (node: NodeMesh, value: string) => boolean): (item: Filtered, value: string) => boolean {
  return ({ node }, value) => node === undefined || matches(node, value);
}

function ofRoute(matches: (route: MeshPort & MeshRoute, value: string) => boolean): (item: Filtered, value: string) => boolean {
  return ({ port, route }, value) => port === undefined || route === undefined || matches({ ...port, ...route }, value);
}

const FILTERS: FilterKeys<Filtered> = {
  id: { matches: ofNode((node, value) => node.nodeId.startsWith(value)) },
  name: { matches: ofNode((node, value) => node.hostname.includes(value)) },
  up: { matches: ofNode((node, value) => String(node.error === '') === value), values: YES_OR_NO },
  current: { matches: ofNode((node, value) => String(isCurrent(node)) === value), values: YES_OR_NO },
  port: { matches: ofRoute(ROUTE_FILTERS.port.matches) },
  protocol: { matches: ofRoute(ROUTE_FILTERS.protocol.matches), values: ROUTE_FILTERS.protocol.values },
  service: { matches: ofRoute(ROUTE_FILTERS.service.matches) },
  problem: { matches: ofRoute((route, value) => String(route.problem !== '') === value), values: YES_OR_NO },
};

/** Errors: `not_found`, `invalid_argument` for filters, `resource_exhausted` where it is too much for one answer. */
export async function getMeshStatus(context: ApiContext, request: MeshStatusFilter, signal: AbortSignal): Promise<MeshStatusList> {
  const { state } = context;
  const matches = compileFilters(request.filters, FILTERS);
  const rows = request.nodeRefs.length > 0 ? nodesByRefs(state, request.nodeRefs) : [...state.all('nodes')];
  const nodes = new Map(rows.map(({ id }) => [id, NodeMesh.create({ nodeId: id, hostname: hostnameOf(state, id) })]));
  const onPage = (nodeId: string, page: MeshPage): void => {
    const node = nodes.get(nodeId);
    if (node !== undefined) nodes.set(nodeId, withPage(node, page, matches, request.ports));
  };
  const errors = await askMeshes(context, { nodes: rows, targets: false, onPage }, signal);
  const answered = [...nodes.values()].map((node) => ({ ...node, error: errors.get(node.nodeId)?.message ?? '' }));
  const shown = answered.filter((node) => matches({ node }));
  const key = (node: NodeMesh): string => `${node.hostname} ${node.nodeId}`;
  shown.sort((one, other) => (key(one) < key(other) ? -1 : 1));
  return checkAnswerSize(MeshStatusList, { nodes: shown, revision: state.revision }, shown.length, 'meshes');
}

/** It has the newest table that it was sent. */
function isCurrent({ error, epoch, lag }: NodeMesh): boolean {
  return error === '' && (lag?.waitingMs ?? 0) === 0 && (epoch?.revision ?? 0) >= (lag?.sentRevision ?? 0);
}

function withPage(node: NodeMesh, { lag, page }: MeshPage, matches: (item: Filtered) => boolean, keepPorts: boolean): NodeMesh {
  const ports = page.ports.flatMap((port) => {
    const routes = port.routes.filter((route) => matches({ port, route }));
    return routes.length === 0 ? [] : [MeshPort.create({ ...port, routes })];
  });
  const { version, pid, uptimeMs, epoch } = page;
  const sums = ports.reduce(withPort, node.sums ?? MeshSums.create());
  return { ...node, version, pid, uptimeMs, epoch, lag, sums, ports: keepPorts ? [...node.ports, ...ports] : [] };
}

function withPort(sums: MeshSums, { problem, rejected, routes }: MeshPort): MeshSums {
  const sum = (of: (route: MeshRoute) => number): number => routes.reduce((all, route) => all + of(route), 0);
  return {
    ports: sums.ports + 1,
    problems: sums.problems + (problem === '' ? 0 : 1),
    open: sums.open + sum(({ open }) => open),
    waiting: sums.waiting + sum(({ waiting }) => waiting),
    total: sums.total + sum(({ total }) => total),
    replicaFailures: sums.replicaFailures + sum(({ replicaFailures }) => replicaFailures),
    turnedAway: sums.turnedAway + rejected + sum(({ refused }) => refused),
  };
}
