// Route tables for tests of the mesh.
import { type Epoch, PortProtocol, PortRoute, RouteTable, RouteTarget, TargetState } from '../../proto/index.ts';

export function epochOf(revision: number, more: Partial<Epoch> = {}): Epoch {
  return { clusterId: 'cluster-a', incarnation: 'first', incarnationNumber: 1, revision, ...more };
}

/** A replica at 127.0.0.1, or where `more` says. */
export function targetOf(taskId: string, nodePort: number, more: Partial<RouteTarget> = {}): RouteTarget {
  return RouteTarget.create({ taskId, nodeId: 'node-b', nodeAddress: '127.0.0.1', nodePort, weight: 1, ...more });
}

export function draining(target: RouteTarget): RouteTarget {
  return { ...target, state: TargetState.TARGET_DRAINING };
}

export function routeOf(publishedPort: number, targets: readonly RouteTarget[], more: Partial<PortRoute> = {}): PortRoute {
  return PortRoute.create({ protocol: PortProtocol.TCP, publishedPort, serviceId: 'service', serviceName: 'web', targets, ...more });
}

export function tableOf(revision: number, ports: readonly PortRoute[]): RouteTable {
  return RouteTable.create({ epoch: epochOf(revision), ports });
}
