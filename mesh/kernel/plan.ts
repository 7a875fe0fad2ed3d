// From the route table to what the kernel is to hold, and why a port is left to the proxy. Pure.
import { isIPv6 } from 'node:net';
import { DataPath, keyOfRoute, portKeyOf, type PortRoute, type RouteTarget, TargetState } from '../../proto/index.ts';
import { addressOf } from '../balance/balancer.ts';
import { type BridgeFinder } from './bridges.ts';
import { ASKED_FOR, type PathInUse, transportOf } from './eligible.ts';
import { flowKey } from './flows.ts';
import { type Family } from './forwarding.ts';
import { type HeldTask } from './holds.ts';
import { addressKey, canonicalAddress, portName, type PortRules, type Rules, type Transport } from './rules.ts';
import { type Share, slotsOf } from './slots.ts';

export interface PlanInput {
  /** Those that ask for the kernel and can have it (`whyProxy`). */
  readonly routes: readonly PortRoute[];
  /** "": not known yet. */
  readonly nodeId: string;
  readonly portOffset: number;
  /** What is there: slots stay where they are. */
  readonly before: Rules;
  /** Why packets of a family, or datagrams, cannot take the kernel's path on this node. */
  readonly obstacles: ReadonlyMap<Family | 'udp', string>;
  /** Why the mesh's own listener does not have the port. */
  readonly problemOf: (route: PortRoute) => string | undefined;
  readonly isDead: (host: string) => boolean;
  /** The bridge of this node that the address is on. */
  readonly bridgeOf: BridgeFinder;
}

export interface Plan {
  readonly rules: Rules;
  /** By `portKeyOf` of the route. */
  readonly paths: ReadonlyMap<string, PathInUse & Pick<PortRoute, 'publishedPort'>>;
}

/** A replica as the kernel reaches it from this node. */
export interface Endpoint {
  readonly target: RouteTarget;
  /** Canonical. */
  readonly host: string;
  readonly port: number;
  readonly local: boolean;
}

export function planOf(input: PlanInput): Plan {
  const ports = new Map<string, PortRules>();
  const paths = new Map<string, PathInUse & Pick<PortRoute, 'publishedPort'>>();
  const locals = new Set<string>();
  const bridges = new Set<string>();
  for (const route of input.routes) {
    const transport = transportOf(route.protocol);
    if (transport === undefined) continue;
    const { publishedPort } = route;
    const key = portKeyOf(keyOfRoute(route));
    const endpoints = endpointsOf(route, input.nodeId);
    const obstacle = obstacleTo(route, transport, endpoints, input);
    if (obstacle !== undefined) {
      paths.set(key, { publishedPort, path: DataPath.PATH_PROXY, reason: obstacle });
      continue;
    }
    const taking = endpoints.filter(
      ({ target, host, local }) => target.state === TargetState.TARGET_ACTIVE && (local || !input.isDead(host)),
    );
    const rules = portRulesOf(route, transport, taking, input);
    ports.set(portName(rules), rules);
    paths.set(key, { publishedPort, path: DataPath.PATH_KERNEL, reason: reasonOf(route, taking) });
    // Of draining ones too: their connections go on as they began.
    for (const { host, target } of endpoints.filter(({ local }) => local)) {
      locals.add(host);
      const bridge = input.bridgeOf(host, target.nodeAddress);
      if (bridge !== undefined) bridges.add(bridge);
    }
  }
  return { rules: { ports, locals, bridges }, paths };
}

/** Those of the route's targets that have an address. */
export function endpointsOf(route: PortRoute, nodeId: string): readonly Endpoint[] {
  return route.targets.flatMap((target) => {
    const address = addressOf(target, nodeId);
    const host = address === undefined ? undefined : canonicalAddress(address.host);
    if (address === undefined || host === undefined) return [];
    return [{ target, host, port: address.port, local: target.nodeId === nodeId }];
  });
}

/** The tasks of these routes, with the addresses under which the kernel may have connections to them. */
export function tasksOf(routes: Iterable<PortRoute>, nodeId: string): Map<string, HeldTask> {
  const tasks = new Map<string, { keys: Set<string>; draining: boolean }>();
  for (const route of routes) {
    const transport = transportOf(route.protocol);
    for (const { target, host, port } of transport === undefined ? [] : endpointsOf(route, nodeId)) {
      const task = tasks.get(target.taskId) ?? { keys: new Set<string>(), draining: false };
      tasks.set(target.taskId, task);
      if (transport !== undefined) task.keys.add(flowKey(transport, addressKey(host, port)));
      if (target.state === TargetState.TARGET_DRAINING) task.draining = true;
    }
  }
  return tasks;
}

/** `flowKey`s that new connections are sent to. */
export function keysOf(rules: Rules): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const { transport, slots4, slots6 } of rules.ports.values()) {
    for (const address of [...slots4, ...slots6]) keys.add(flowKey(transport, address));
  }
  return keys;
}

export function familyOf(host: string): Family {
  return isIPv6(host) ? '6' : '4';
}

function obstacleTo(route: PortRoute, transport: Transport, endpoints: readonly Endpoint[], input: PlanInput): string | undefined {
  if (input.nodeId === '') return 'this mesh has not been told yet which node it is on';
  const problem = input.problemOf(route);
  if (problem !== undefined) return `the mesh's own listener does not have the port: ${problem}`;
  if (transport === 'udp' && input.obstacles.has('udp')) return input.obstacles.get('udp');
  for (const { host } of endpoints) {
    if (/^127\.|^::1$/.test(host)) return 'a replica of this node listens on its loopback, where the kernel sends nobody from outside';
    const obstacle = input.obstacles.get(familyOf(host));
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

function portRulesOf(route: PortRoute, transport: Transport, taking: readonly Endpoint[], input: PlanInput): PortRules {
  const port = route.publishedPort + input.portOffset;
  const before = input.before.ports.get(portName({ transport, port }));
  const slots = (family: Family, were: readonly string[] | undefined): readonly string[] => {
    if (route.paused) return [];
    const shares = taking
      .filter(({ host }) => familyOf(host) === family)
      .map(({ target, host, port: targetPort }): Share => ({
        address: addressKey(host, targetPort),
        weight: Math.max(1, target.weight),
        canary: target.canary,
      }));
    return slotsOf(shares, route.canaryPermille, were ?? []);
  };
  return { transport, port, slots4: slots('4', before?.slots4), slots6: slots('6', before?.slots6) };
}

function reasonOf(route: PortRoute, taking: readonly Endpoint[]): string {
  if (route.paused) return `${ASKED_FOR}; it is paused, so new clients wait at the mesh's listener`;
  return taking.length > 0 ? ASKED_FOR : `${ASKED_FOR}; there is no replica, so new clients wait at the mesh's listener`;
}
