// ListMeshRoutes: every target of every published port once, with what the meshes that were asked say of it together.
import {
  comparePortKeys,
  type MeshPort,
  type MeshRoute,
  MeshRouteList,
  type MeshRoutesFilter,
  MeshRouteView,
  type MeshTarget,
  NodeMesh,
  portKeyOf,
  TargetState,
} from '../../../proto/index.ts';
import type { StateView } from '../../state/index.ts';
import { checkAnswerSize } from '../answer-size.ts';
import type { ApiContext } from '../context.ts';
import { compileFilters, type FilterKeys } from '../filters.ts';
import { nodesByRefs } from '../refs.ts';
import { hostnameOf, taskName } from '../task-names.ts';
import { askMeshes } from './ask.ts';
import { ROUTE_FILTERS, YES_OR_NO } from './filters.ts';

const STATES: Readonly<Record<string, TargetState>> = { active: TargetState.TARGET_ACTIVE, draining: TargetState.TARGET_DRAINING };

const FILTERS: FilterKeys<MeshRouteView> = {
  ...ROUTE_FILTERS,
  task: { matches: (route, value) => route.taskName === value || route.taskId.startsWith(value) },
  node: { matches: (route, value) => route.nodeHostname === value || route.nodeId.startsWith(value) },
  state: { matches: (route, value) => route.state === STATES[value], values: Object.keys(STATES) },
  canary: { matches: (route, value) => String(route.canary) === value, values: YES_OR_NO },
  out: { matches: (route, value) => String(route.meshesOut > 0) === value, values: YES_OR_NO },
};

/** Errors: `not_found`, `invalid_argument` for filters, `resource_exhausted` where it is too much for one answer. */
export async function listMeshRoutes(context: ApiContext, request: MeshRoutesFilter, signal: AbortSignal): Promise<MeshRouteList> {
  const { state } = context;
  const matches = compileFilters(request.filters, FILTERS);
  const nodes = request.nodeRefs.length > 0 ? nodesByRefs(state, request.nodeRefs) : [...state.all('nodes')];
  const views = new Map<string, MeshRouteView>();
  const onPage = (nodeId: string, ports: readonly MeshPort[]): void => {
    for (const port of ports) {
      for (const route of port.routes) {
        for (const target of route.targets) {
          const key = `${target.taskId} ${portKeyOf({ ...port, host: route.host, path: route.path })}`;
          views.set(key, seenBy(nodeId, target, views.get(key) ?? newView(state, port, route, target)));
        }
      }
    }
  };
  const errors = await askMeshes(context, { nodes, targets: true, onPage: (nodeId, { page }) => onPage(nodeId, page.ports) }, signal);
  const routes = [...views.values()].filter(matches).sort(compare);
  const unasked = [...errors].map(([nodeId, error]) =>
    NodeMesh.create({ nodeId, hostname: hostnameOf(state, nodeId), error: error.message }),
  );
  return checkAnswerSize(MeshRouteList, { routes, unasked, revision: state.revision }, routes.length, 'routes');
}

function newView(state: StateView, port: MeshPort, route: MeshRoute, target: MeshTarget): MeshRouteView {
  const task = state.get('tasks', target.taskId)?.value;
  return MeshRouteView.create({
    protocol: port.protocol,
    publishedPort: port.publishedPort,
    host: route.host,
    path: route.path,
    serviceId: route.serviceId,
    serviceName: route.serviceName,
    taskId: target.taskId,
    taskName: task === undefined ? '' : taskName(state, task),
    nodeId: target.nodeId,
    nodeHostname: hostnameOf(state, target.nodeId),
    address: target.address,
    canary: target.canary,
    weight: target.weight,
    paused: route.paused,
    canaryPermille: route.canaryPermille,
  });
}

function seenBy(nodeId: string, target: MeshTarget, view: MeshRouteView): MeshRouteView {
  return {
    ...view,
    // On its own node a task is reached at its container.
    address: nodeId === target.nodeId ? view.address : target.address,
    state: target.state === TargetState.TARGET_DRAINING ? target.state : view.state,
    open: view.open + target.open,
    meshes: view.meshes + 1,
    meshesOut: view.meshesOut + (target.outForMs > 0 ? 1 : 0),
  };
}

function compare(a: MeshRouteView, b: MeshRouteView): number {
  return (
    comparePortKeys(a, b) ||
    compareText(a.serviceName, b.serviceName) ||
    compareText(a.taskName, b.taskName) ||
    compareText(a.taskId, b.taskId)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
