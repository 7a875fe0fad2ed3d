// The route table as a pure function of the state: what is published where, which tasks answer for it, and the revision that names it.
//
// Inputs: all services (a spec lands in one transaction with its service), the status of those whose update was rolled back by the leader, that try a
// canary or were paused, nodes and node statuses; tasks of services that publish, tasks that are drained, and their statuses; and `route-floor`, which every transaction
// rewrites that deletes one of these. So the newest mod revision among them never falls (a status ceases to be one by a newer service row), and
// every manager that has a state at least that new finds the same one.
import {
  type Cluster,
  comparePortKeys,
  type Endpoint,
  keyOfRoute,
  NodeState,
  portKeyOf,
  PortMode,
  PortProtocol,
  type PortRoute,
  type PortSpec,
  type RouteTable,
  type RouteTarget,
  type ServiceSpec,
  TargetState,
  type Task,
  TaskState,
} from '../../proto/index.ts';
import { activeSpecNumber, activeSpecOf, canaryPermille, type Row, specOf, type StateView } from '../state/index.ts';
import type { Revision } from '../store/store.ts';
import { epochAt } from './epochs.ts';
import { pauseMs, withHold } from './route-pause.ts';

/** All targets are equal; the share of a canary is the port's, not its targets'. */
const WEIGHT = 1;

export function routeTableOf(state: StateView, cluster: Cluster): RouteTable {
  const byService = new Map<string, readonly PortRoute[]>();
  for (const { id } of state.all('services')) byService.set(id, portRoutesOf(state, id));
  return { epoch: epochAt(cluster, routeRevision(state)), ports: mergePorts(byService) };
}

/** Revision of the last change to the table's inputs. */
export function routeRevision(state: StateView): Revision {
  let newest: Revision = 0;
  const see = (row: Row<unknown> | undefined): void => {
    if (row !== undefined && row.modRevision > newest) newest = row.modRevision;
  };
  see(state.get('routeFloor', ''));
  for (const row of state.all('services')) {
    see(row);
    if (isStatusInput(state, row.id)) see(state.get('serviceStatus', row.id));
  }
  for (const row of state.all('nodes')) see(row);
  for (const row of state.all('nodeStatus')) see(row);
  for (const row of state.all('tasks')) {
    if (!isRouteInput(state, row.value)) continue;
    see(row);
    see(state.get('taskStatus', row.id));
  }
  return newest;
}

/** Drained ones are inputs whatever their service publishes: their drain is acknowledged by an epoch that contains it. */
export function isRouteInput(state: StateView, task: Task): boolean {
  return task.drain || publishes(activeSpecOf(state, task.serviceId)?.spec) || publishes(specOf(state, task.serviceId, task.specNumber));
}

/** The routes of one service; its active spec says which ports are published. Targets are sorted by task id. */
export function portRoutesOf(state: StateView, serviceId: string): readonly PortRoute[] {
  const service = state.get('services', serviceId)?.value;
  const spec = activeSpecOf(state, serviceId)?.spec;
  if (service === undefined || spec === undefined) return [];
  const ports = spec.ports.filter(isIngress);
  if (ports.length === 0) return [];
  const tasks = [...state.tasksOfService(serviceId)].map((row) => row.value).filter((task) => carriesTraffic(state, task));
  tasks.sort((a, b) => compareText(a.id, b.id));
  const permille = canaryPermille(service, state.get('serviceStatus', serviceId)?.value);
  return ports.map((port) => {
    const targets = tasks.flatMap((task) => targetOf(state, task, port) ?? []);
    const pausedMs = pauseMs(state, service, spec, targets);
    return {
      protocol: port.protocol,
      publishedPort: port.publishedPort,
      serviceId,
      serviceName: spec.name,
      targets,
      settings: pausedMs === 0 ? port.ingress : withHold(port, pausedMs),
      paused: pausedMs > 0,
      canaryPermille: permille,
    };
  });
}

/** All ports in order; a port that two services claim (which the API refuses) goes to the one with the lower id. */
export function mergePorts(byService: ReadonlyMap<string, readonly PortRoute[]>): readonly PortRoute[] {
  const merged = new Map<string, PortRoute>();
  for (const routes of byService.values()) {
    for (const route of routes) {
      const key = portKeyOf(keyOfRoute(route));
      const held = merged.get(key);
      if (held === undefined || route.serviceId < held.serviceId) merged.set(key, route);
    }
  }
  return [...merged.values()].sort((a, b) => comparePortKeys(keyOfRoute(a), keyOfRoute(b)));
}

/** Its status has a say in its routes. Once it has, only a newer service row takes that away: no change of the status itself. */
export function isStatusInput(state: StateView, serviceId: string): boolean {
  const service = state.get('services', serviceId)?.value;
  return service?.canary !== undefined || service?.pause !== undefined || isRolledBack(state, serviceId);
}

/** The leader went back from the newest spec by itself: its status says which ports are published. */
function isRolledBack(state: StateView, serviceId: string): boolean {
  const service = state.get('services', serviceId)?.value;
  return service !== undefined && activeSpecNumber(service, state.get('serviceStatus', serviceId)?.value) !== service.specNumber;
}

function publishes(spec: ServiceSpec | undefined): boolean {
  return spec?.ports.some(isIngress) ?? false;
}

function isIngress(port: PortSpec): boolean {
  return port.mode === PortMode.INGRESS;
}

function carriesTraffic(state: StateView, task: Task): boolean {
  // ASSIGNED is overtaken by the node's own status.
  if (task.lost || (task.verdict !== undefined && task.verdict.state !== TaskState.ASSIGNED)) return false;
  if (task.desired !== TaskState.RUNNING && task.desired !== TaskState.COMPLETE && !task.drain) return false;
  if (state.get('taskStatus', task.id)?.value.state !== TaskState.RUNNING) return false;
  return state.get('nodes', task.nodeId) !== undefined && state.get('nodeStatus', task.nodeId)?.value.state === NodeState.NODE_READY;
}

/**
 * Undefined where the task's own spec publishes neither the port nor its target, or nothing answers there yet. What drains gets nothing new, and
 * ends with what it has, ready or not.
 */
function targetOf(state: StateView, task: Task, port: PortSpec): RouteTarget | undefined {
  const own = specOf(state, task.serviceId, task.specNumber);
  const ports = own?.ports.filter(isIngress) ?? [];
  // Under the same published port the target may be another one in an earlier spec. A port that was served as a whole had all that a rule of it has now.
  const published =
    ports.find((other) => sameKey(other, port)) ??
    ports.find((other) => sameTarget(other, port)) ??
    ports.find((other) => other.protocol !== port.protocol && samePublished(other, port));
  if (published === undefined) return undefined;
  const endpoint = state
    .get('taskStatus', task.id)
    ?.value.endpoints.find((other) => (other.ready || task.drain) && sameTarget(other, published));
  return endpoint && toTarget(task, endpoint);
}

function toTarget(task: Task, endpoint: Endpoint): RouteTarget {
  return {
    taskId: task.id,
    nodeId: task.nodeId,
    nodeAddress: endpoint.nodeAddress,
    nodePort: endpoint.nodePort,
    containerAddress: endpoint.containerAddress,
    containerPort: endpoint.containerPort,
    weight: WEIGHT,
    state: task.drain ? TargetState.TARGET_DRAINING : TargetState.TARGET_ACTIVE,
    canary: task.canary,
  };
}

/** The same port, and of HTTP ones the same rule. */
function sameKey(a: PortSpec, b: PortSpec): boolean {
  const [one, other] = [a.ingress?.http, b.ingress?.http];
  return a.protocol === b.protocol && samePublished(a, b) && one?.host === other?.host && one?.path === other?.path;
}

function samePublished(a: PortSpec, b: PortSpec): boolean {
  return a.publishedPort === b.publishedPort && (a.protocol === PortProtocol.UDP) === (b.protocol === PortProtocol.UDP);
}

/** HTTP is spoken over TCP. */
function sameTarget(a: Pick<PortSpec, 'protocol' | 'targetPort'>, b: Pick<PortSpec, 'protocol' | 'targetPort'>): boolean {
  return a.targetPort === b.targetPort && (a.protocol === PortProtocol.UDP) === (b.protocol === PortProtocol.UDP);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
