// What the mesh is doing, in pages for whoever asks: a page is read off in one go and bounded, so that a table of any size can be shown without a stall.
import { isIPv6 } from 'node:net';
import {
  comparePortKeys,
  DataPath,
  keyOfRoute,
  MeshPort,
  MeshRoute,
  type MeshStatusPage,
  type MeshStatusQuery,
  type MeshTarget,
  type PortKey,
  type PortRoute,
  type RouteTarget,
  TargetState,
} from '../proto/index.ts';
import { type Replica } from './balance/balancer.ts';
import { type PathInUse } from './kernel/eligible.ts';
import { type SeenPort } from './ports.ts';
import { type PortLook, type RouteLook } from './served-port.ts';

/** Routes and targets together; the port that passes it is the last of its page. A target takes about 100 bytes. */
const PAGE_ENTRIES = 2000;

/** The ports of one page. `nowMs`: of the clock that the replicas' health is kept in. */
export function pageOf(
  seen: Iterable<SeenPort>,
  { after, targets }: Pick<MeshStatusQuery, 'after' | 'targets'>,
  nowMs: number,
  pathOf: (route: PortRoute) => PathInUse,
): Pick<MeshStatusPage, 'ports' | 'next'> {
  const waiting = [...seen]
    .map((port) => ({ port, key: keyOf(port) }))
    .filter(({ key }) => after === undefined || comparePortKeys(key, keyOf(after)) > 0)
    .sort((a, b) => comparePortKeys(a.key, b.key));
  const ports: MeshPort[] = [];
  let entries = 0;
  for (const { port, key } of waiting) {
    const shown = portOf(port, targets, nowMs, pathOf);
    ports.push(shown);
    for (const route of shown.routes) entries += 1 + route.targets.length;
    if (entries >= PAGE_ENTRIES && ports.length < waiting.length) return { ports, next: key };
  }
  return { ports, next: undefined };
}

function keyOf({ protocol, publishedPort }: Pick<PortKey, 'protocol' | 'publishedPort'>): PortKey {
  return { protocol, publishedPort, host: '', path: '' };
}

function portOf(port: SeenPort, targets: boolean, nowMs: number, pathOf: (route: PortRoute) => PathInUse): MeshPort {
  const look = port.look() ?? unserved(port.routes);
  // Several routes share a port on http alone, which has one path.
  const [route] = port.routes;
  const { path, reason } = route === undefined ? { path: DataPath.PATH_PROXY, reason: '' } : pathOf(route);
  return MeshPort.create({
    protocol: port.protocol,
    publishedPort: port.publishedPort,
    dataPath: path,
    dataPathReason: reason,
    problem: port.problem ?? '',
    rejected: look.rejected,
    routes: look.routes.map((route) => routeOf(route, targets, nowMs)),
  });
}

function unserved(routes: readonly PortRoute[]): PortLook {
  const none = { replicas: [], open: 0, waiting: 0, total: 0, replicaFailures: 0, refused: 0 };
  return { rejected: 0, routes: routes.map((route) => ({ route, ...none })) };
}

function routeOf(look: RouteLook, targets: boolean, nowMs: number): MeshRoute {
  const { route } = look;
  const { host, path } = keyOfRoute(route);
  const byTask = new Map(look.replicas.map((replica) => [replica.taskId, replica]));
  const shown = route.targets.map((target) => targetOf(target, byTask.get(target.taskId), nowMs));
  const active = shown.filter(({ state }) => state === TargetState.TARGET_ACTIVE);
  return MeshRoute.create({
    serviceId: route.serviceId,
    serviceName: route.serviceName,
    host,
    path,
    paused: route.paused,
    canaryPermille: route.canaryPermille,
    activeTargets: active.length,
    drainingTargets: shown.length - active.length,
    targetsOut: active.filter(({ outForMs }) => outForMs > 0).length,
    open: look.open,
    waiting: look.waiting,
    total: look.total,
    replicaFailures: look.replicaFailures,
    refused: look.refused,
    targets: targets ? shown : [],
  });
}

/** `replica`: undefined where the table gives no address for it. */
function targetOf(target: RouteTarget, replica: Replica | undefined, nowMs: number): MeshTarget {
  const { taskId, nodeId, state, canary } = target;
  return {
    taskId,
    nodeId,
    address: replica === undefined ? '' : addressOf(replica),
    state,
    canary,
    weight: Math.max(1, target.weight),
    open: replica?.open ?? 0,
    failures: replica?.health.failures ?? 0,
    outForMs: Math.max(0, Math.ceil((replica?.health.ejectedUntilMs ?? 0) - nowMs)),
  };
}

function addressOf({ host, port }: Replica): string {
  return isIPv6(host) ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
}
